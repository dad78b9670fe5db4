// <lease-clock>: how long the item is held, and the sign of life that renews it while somebody is at work.

const RENEW_MS = 45_000;
const SOONEST_MS = 1_000;
const RETRY_MS = 5_000;
// Whoever has not moved for so long has left: the item goes back when the lease is over.
const AWAY_MS = 180_000;

class LeaseClock extends HTMLElement {
  // On the page's own clock, which only counts: the time of day on this machine may be wrong.
  #ends = performance.now() + Number(this.dataset.seconds) * 1000;
  #seen = Date.now();
  #words = this.querySelector("span");
  #tick = 0;
  #timer = 0;

  connectedCallback() {
    for (const name of ["pointermove", "pointerdown", "keydown", "scroll"]) {
      document.addEventListener(name, () => { this.#seen = Date.now(); }, { capture: true, passive: true });
    }
    this.#tick = setInterval(() => this.#show(), 1000);
    this.#timer = setTimeout(() => this.#renew(), this.#pause());
    this.#show();
  }

  disconnectedCallback() {
    clearInterval(this.#tick);
    clearTimeout(this.#timer);
  }

  #pause() {
    const left = this.#ends - performance.now();
    return Math.min(RENEW_MS, Math.max(left / 2, SOONEST_MS));
  }

  #show() {
    const seconds = Math.round((this.#ends - performance.now()) / 1000);
    if (this.dataset.state === "offline") return;
    if (seconds <= 0) return this.#lose();
    const words = seconds >= 90 ? this.dataset.left.replace("{minutes}", Math.round(seconds / 60)) : this.dataset.last;
    this.#words.textContent = words.replace("{seconds}", seconds);
    this.dataset.state = seconds < 90 ? "short" : "held";
  }

  async #renew() {
    let wait = 0;
    if (Date.now() - this.#seen < AWAY_MS) {
      try {
        const answer = await this.#ask();
        if (answer.status === 409) return this.#lose();
        this.#ends = performance.now() + (await answer.json()).seconds_left * 1000;
        this.dataset.state = "held";
      } catch {
        // Offline, or the server is away for a moment, or the sign-in is over.
        this.dataset.state = "offline";
        this.#words.textContent = this.dataset.offline;
        wait = RETRY_MS;
      }
    }
    this.#timer = setTimeout(() => this.#renew(), wait || this.#pause());
  }

  async #ask() {
    const form = document.getElementById("decision");
    const body = new URLSearchParams();
    for (const name of ["csrfmiddlewaretoken", "token"]) body.set(name, form.elements[name].value);
    const answer = await fetch(this.dataset.renew, { method: "POST", body, headers: { Accept: "application/json" } });
    if (answer.status !== 409 && (!answer.ok || answer.redirected)) throw new Error(answer.statusText);
    return answer;
  }

  #lose() {
    clearInterval(this.#tick);
    clearTimeout(this.#timer);
    this.dataset.state = "short";
    this.#words.textContent = this.dataset.over;
    this.dispatchEvent(new CustomEvent("lease-lost", { bubbles: true }));
  }
}

customElements.define("lease-clock", LeaseClock);
