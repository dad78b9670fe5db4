// <review-desk>: keys for what is on the page, the picture veiled again when nobody looks, time counted while somebody does.
//
// An element's data-key is the event.code of its key: layouts differ in letters, not in places.

const IDLE_MS = 10_000;
const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";
const OWN_ENTER = "a, button, summary, textarea";

class ReviewDesk extends HTMLElement {
  #form = this.querySelector("form");
  #holding = false;
  #idle = 0;
  #seconds = 0;
  #since = document.hidden ? 0 : performance.now();
  #sent = false;

  connectedCallback() {
    document.addEventListener("keydown", (event) => this.#down(event));
    document.addEventListener("keyup", (event) => { if (event.code === "KeyB") this.#release(); });
    window.addEventListener("blur", () => this.#veil());
    document.addEventListener("visibilitychange", () => this.#count());
    for (const name of ["pointermove", "pointerdown", "keydown", "scroll"]) {
      document.addEventListener(name, () => this.#stir(), { capture: true, passive: true });
    }
    document.addEventListener("lease-lost", () => this.#lose());
    this.#form.addEventListener("submit", (event) => this.#send(event));
    this.querySelector("[data-hint]")?.removeAttribute("hidden");
    this.querySelector("[data-errors]")?.focus();
    this.#say();
  }

  // --- keys ---

  #down(event) {
    if (event.ctrlKey && event.code === "Enter") return this.#form.requestSubmit();
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.isComposing) return;
    if (event.code === "Escape") return this.#escape();
    if (event.target.matches(TYPING)) return;
    if (event.code === "Enter" || event.code === "NumpadEnter") return this.#enter(event);
    if (event.repeat) return;
    if (event.code === "KeyB") return this.#hold();
    if (event.code === "KeyG") return this.#reveals("grey")?.click();
    const code = event.code.replace("Numpad", "Digit");
    const wanted = document.querySelector(`[data-key="${CSS.escape(code)}"]`);
    if (!wanted) return;
    event.preventDefault();
    if (wanted.matches(TYPING)) wanted.focus();
    else wanted.click();
    if (wanted.matches("summary")) wanted.parentElement.querySelector("button")?.focus();
  }

  #enter(event) {
    if (event.target.closest(OWN_ENTER) || event.repeat) return;
    event.preventDefault();
    this.#form.requestSubmit(this.querySelector("[data-submit]"));
  }

  #escape() {
    if (document.activeElement?.matches(TYPING)) document.activeElement.blur();
  }

  // --- the veil ---

  #reveals(copy) {
    return this.querySelector(`button[data-reveal="${copy}"][type="button"]`);
  }

  #hold() {
    const button = this.#reveals("full");
    if (!button || button.getAttribute("aria-pressed") === "true") return;
    this.#holding = true;
    button.click();
  }

  #release() {
    if (this.#holding) this.#veil();
  }

  #veil() {
    this.#holding = false;
    this.querySelector('[data-reveal][aria-pressed="true"]')?.click();
  }

  #stir() {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => { if (!this.#holding) this.#veil(); }, IDLE_MS);
  }

  // --- time, sending, losing ---

  #count() {
    if (document.hidden && this.#since) {
      this.#seconds += (performance.now() - this.#since) / 1000;
      this.#since = 0;
    } else if (!document.hidden && !this.#since) {
      this.#since = performance.now();
    }
  }

  #send(event) {
    // Sent once; the server would count a second time as the first anyway.
    if (this.#sent && !event.submitter?.name) return event.preventDefault();
    this.#sent = true;
    const seen = this.#since ? (performance.now() - this.#since) / 1000 : 0;
    this.#form.elements.seconds.value = (this.#seconds + seen).toFixed(1);
    setTimeout(() => { this.#sent = false; }, 5000);
  }

  #lose() {
    if (this.querySelector("[data-lost-note]")) return;
    const note = document.createElement("div");
    note.className = "note warning";
    note.dataset.lostNote = "";
    note.setAttribute("role", "alert");
    const words = document.createElement("p");
    words.textContent = this.dataset.lost;
    const next = document.createElement("a");
    next.href = this.dataset.next;
    next.textContent = this.dataset.nextWords;
    note.append(words, next);
    this.querySelector(".desk-scroll").prepend(note);
    this.#veil();
  }

  // What the page came with is read out only when it is put into the live region after loading.
  #say() {
    const live = document.querySelector("[data-live]");
    const said = [...live.childNodes];
    if (!live.textContent.trim()) return;
    live.replaceChildren();
    setTimeout(() => live.replaceChildren(...said), 150);
  }
}

customElements.define("review-desk", ReviewDesk);
