// <copy-text for="id">: a button that puts the text of that element on the clipboard.
class CopyText extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button");
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      const label = button.querySelector("span");
      const before = label.textContent;
      await navigator.clipboard.writeText(document.getElementById(this.getAttribute("for")).textContent);
      label.textContent = "Copied";
      setTimeout(() => {
        label.textContent = before;
      }, 2000);
    });
  }
}

customElements.define("copy-text", CopyText);
