// Single-key shortcuts. Each does what a link, a field or a box on the page does; nothing needs them, and this
// script isn't sent to whoever has switched them off.
const dialog = document.getElementById("shortcuts");
const ROW = "main :is(.list > li, .tiles > li, tbody > tr, .held)";
const TEXT =
  'textarea, select, input:not([type="checkbox"], [type="radio"], [type="button"], [type="submit"])';
// A "g" waits this long for its second key.
const PATIENCE = 1500;

let led = 0;

const rows = () =>
  [...document.querySelectorAll(ROW)]
    .map((row) => ({ row, opens: row.querySelector("a[href], summary") }))
    .filter(({ opens }) => opens?.checkVisibility());

const move = (step) => {
  const all = rows();
  const at = all.findIndex(({ row }) => row.contains(document.activeElement));
  const next = at < 0 ? 0 : at + step;
  all[next]?.opens.focus();
  all[next]?.row.scrollIntoView({ block: "nearest" });
};

const search = () => {
  const field = document.querySelector('main input[type="search"]');
  if (!field) return location.assign(dialog.dataset.search);
  field.focus();
  field.select();
};

// A box that can't be ticked says so: a key that does nothing in silence is taken for one that was missed.
const choose = () => {
  const box = document.activeElement.closest(ROW)?.querySelector('input[type="checkbox"]');
  document.getElementById("keys-say").textContent = box?.disabled ? box.ariaLabel : "";
  box?.click();
};

const ACTS = {
  "/": search,
  "?": () => dialog.showModal(),
  j: () => move(1),
  k: () => move(-1),
  x: choose,
};

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.isContentEditable || target.matches?.(TEXT) || document.querySelector("dialog[open]")) return;
  if (event.key === "Shift") return;
  const second = Date.now() - led < PATIENCE;
  led = 0;
  const link = second && document.querySelector(`.nav a[data-go="${CSS.escape(key)}"]`);
  if (link) {
    event.preventDefault();
    link.click();
  } else if (key === "g" && !second) {
    led = Date.now();
  } else if (Object.hasOwn(ACTS, key) && !second) {
    event.preventDefault();
    ACTS[key]();
  }
});

const button = document.getElementById("show-shortcuts");
button.hidden = false;
button.addEventListener("click", () => dialog.showModal());
