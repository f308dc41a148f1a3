// Live regions: what somebody has opened stays open, and focus isn't lost when a part is replaced.
const openDetails = (region) => [...region.querySelectorAll("details[id][open]")].map((each) => each.id);
let before = { region: "", open: [], focused: false };

document.addEventListener("htmx:beforeRequest", (event) => {
  // Somebody is answering a question in this region: ask the server later.
  if (event.detail.target?.querySelector?.("dialog[open]")) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const region = detail.target;
  before = { region: region.id, open: openDetails(region), focused: region.contains(document.activeElement) };
});

document.addEventListener("htmx:afterSettle", () => {
  const region = document.getElementById(before.region);
  if (!region) return;
  for (const id of before.open) document.getElementById(id)?.setAttribute("open", "");
  // htmx gives the focus back to an element of the same id; where that is gone, the region takes it.
  if (before.focused && document.activeElement === document.body) region.focus();
  before.focused = false;
});
