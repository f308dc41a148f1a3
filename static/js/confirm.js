// <confirm-dialog> around a form: its button first asks. Without this script it submits at once.
class ConfirmDialog extends HTMLElement {
  connectedCallback() {
    const dialog = this.querySelector("dialog");
    this.addEventListener("submit", (event) => {
      if (dialog.contains(event.submitter)) return;
      event.preventDefault();
      dialog.showModal();
    });
    this.querySelector("[data-keep]").addEventListener("click", () => dialog.close());
  }
}

customElements.define("confirm-dialog", ConfirmDialog);

// An open menu closes on Escape and on a click elsewhere.
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.menu[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
