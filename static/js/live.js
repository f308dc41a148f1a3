// Live regions: what somebody has opened stays open, and focus isn't lost when a part is replaced.
const openDetails = (region) => [...region.querySelectorAll("details[id][open]")].map((each) => each.id);
let before = { region: "", open: [], focused: false };

// Somebody is answering a question in this region, or writing: what they wrote must not go.
const busy = (region) =>
  region.querySelector("dialog[open]") ||
  [...region.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue);

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, target } = event.detail;
  // The region asks the server later; a form that is sent goes at once.
  if (elt === target && target.hasAttribute("hx-trigger") && busy(target)) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const region = detail.target;
  // Whoever began to write or to answer while this look was on its way keeps what is there: the next look comes.
  if (detail.requestConfig.elt === region && busy(region)) {
    detail.shouldSwap = false;
    return;
  }
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
