// <lease-clock>: how long the item is held, and the sign of life that renews it while somebody is at work.

const RENEW_MS = 45_000;
const RETRY_MS = 5_000;
// Whoever has not moved for so long has left: the item goes back when the lease is over.
const AWAY_MS = 180_000;

class LeaseClock extends HTMLElement {
  #ends = new Date(this.dataset.ends);
  #seen = Date.now();
  #words = this.querySelector("span");
  #tick = 0;
  #timer = 0;

  connectedCallback() {
    for (const name of ["pointermove", "pointerdown", "keydown", "scroll"]) {
      document.addEventListener(name, () => { this.#seen = Date.now(); }, { capture: true, passive: true });
    }
    this.#tick = setInterval(() => this.#show(), 1000);
    this.#timer = setTimeout(() => this.#renew(), RENEW_MS);
    this.#show();
  }

  disconnectedCallback() {
    clearInterval(this.#tick);
    clearTimeout(this.#timer);
  }

  #show() {
    const seconds = Math.round((this.#ends - Date.now()) / 1000);
    if (this.dataset.state === "offline") return;
    if (seconds <= 0) return this.#lose();
    const words = seconds >= 90 ? this.dataset.left.replace("{minutes}", Math.round(seconds / 60)) : this.dataset.last;
    this.#words.textContent = words.replace("{seconds}", seconds);
    this.dataset.state = seconds < 90 ? "short" : "held";
  }

  async #renew() {
    let wait = RENEW_MS;
    if (Date.now() - this.#seen < AWAY_MS) {
      try {
        const answer = await this.#ask();
        if (answer.status === 409) return this.#lose();
        this.#ends = new Date((await answer.json()).lease_expires_at);
        this.dataset.state = "held";
      } catch {
        // Offline, or the server is away for a moment, or the sign-in is over.
        this.dataset.state = "offline";
        this.#words.textContent = this.dataset.offline;
        wait = RETRY_MS;
      }
    }
    this.#timer = setTimeout(() => this.#renew(), wait);
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
