// <veiled-picture>: a picture that stays veiled until somebody asks to see it.
//
// The page holds the veiled copy alone.  A button per [data-reveal] link loads another copy through the link's data-src and
// takes it away again; pressing on the picture shows it for as long as it is held.  It is veiled when the page is left.

const HOLD_MS = 200;

class VeiledPicture extends HTMLElement {
  #buttons = [];
  #shown = null;
  #hold = 0;

  connectedCallback() {
    if (this.dataset.shown !== "veiled" || this.#buttons.length) return;
    this.#buttons = [...this.querySelectorAll("[data-reveal]")].map((link) => this.#asButton(link));
    const frame = this.querySelector(".stage-frame");
    frame.addEventListener("pointerdown", (event) => { if (event.button === 0) this.#startHold(); });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) frame.addEventListener(name, () => this.#endHold());
    frame.addEventListener("contextmenu", (event) => { if (this.#hold) event.preventDefault(); });
    frame.addEventListener("dragstart", (event) => event.preventDefault());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.#veil(); });
  }

  #asButton(link) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = link.className;
    button.setAttribute("aria-pressed", "false");
    button.append(...link.childNodes);
    Object.assign(button.dataset, link.dataset);
    button.addEventListener("click", () => (this.#shown === button ? this.#veil() : this.#reveal(button)));
    link.replaceWith(button);
    return button;
  }

  #startHold() {
    if (this.#shown) return;
    this.#hold = setTimeout(() => this.#reveal(this.#buttons[0]), HOLD_MS);
  }

  #endHold() {
    if (!this.#hold) return;
    clearTimeout(this.#hold);
    this.#hold = 0;
    this.#veil();
  }

  #reveal(button) {
    this.#veil();
    this.#shown = button;
    button.setAttribute("aria-pressed", "true");
    const veiled = this.querySelector("img");
    const picture = new Image();
    picture.alt = button.dataset.alt;
    picture.width = veiled.width;
    picture.height = veiled.height;
    picture.dataset.revealed = button.dataset.reveal;
    picture.addEventListener("load", () => { if (this.#shown === button) this.#put(picture); });
    picture.addEventListener("error", () => { if (this.#shown === button) this.#lost(); });
    // A fresh address each time: none of them opens the picture for longer than some minutes.
    picture.src = button.dataset.src;
  }

  #put(picture) {
    this.querySelector(".stage-frame").prepend(picture);
    this.dataset.shown = picture.dataset.revealed;
  }

  #veil() {
    this.querySelector("[data-revealed]")?.remove();
    this.#shown?.setAttribute("aria-pressed", "false");
    this.#shown = null;
    this.dataset.shown = "veiled";
    this.querySelector(".stage-error").hidden = true;
  }

  #lost() {
    this.#veil();
    const note = this.querySelector(".stage-error");
    note.textContent = this.dataset.lost;
    note.hidden = false;
  }
}

customElements.define("veiled-picture", VeiledPicture);
