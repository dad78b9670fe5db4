// <copy-text data-label data-done>: adds a button that copies the text it holds.

class CopyText extends HTMLElement {
  connectedCallback() {
    // Browsers lend the clipboard to secure pages alone; elsewhere the text can still be selected.
    if (!navigator.clipboard || this.querySelector("button")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = this.dataset.label;
    button.addEventListener("click", () => this.#copy(button));
    this.querySelector("h3").after(button);
  }

  async #copy(button) {
    await navigator.clipboard.writeText(this.querySelector("code").textContent);
    button.textContent = this.dataset.done;
    setTimeout(() => { button.textContent = this.dataset.label; }, 2000);
  }
}

customElements.define("copy-text", CopyText);
