// <live-status data-url data-status>: shows the page anew once the submission has moved on.

import { poll } from "./poll.js";

class LiveStatus extends HTMLElement {
  #stop = new AbortController();

  async connectedCallback() {
    for await (const answer of poll(this.dataset.url, this.#stop.signal)) {
      if (!answer.working) {
        location.reload();
        return;
      }
    }
  }

  disconnectedCallback() {
    this.#stop.abort();
  }
}

customElements.define("live-status", LiveStatus);
