// <ticked-count> in a form's button: how many boxes of that form are ticked. Without this script it is empty.
class TickedCount extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.show = () => {
      const ticked = [...this.form.elements].filter((each) => each.type === "checkbox" && each.checked);
      this.textContent = ticked.length ? ` (${ticked.length})` : "";
    };
    document.addEventListener("change", this.show);
    // Back from the next page, the browser ticks again what was ticked, and tells nobody.
    window.addEventListener("pageshow", this.show);
    this.show();
  }

  disconnectedCallback() {
    document.removeEventListener("change", this.show);
    window.removeEventListener("pageshow", this.show);
  }
}

customElements.define("ticked-count", TickedCount);
