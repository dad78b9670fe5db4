// <upload-form>: sends each chosen or dropped picture by itself, shows how far it is, then what became of it.
//
// Every file has an id made here and kept when it is sent again, so that a lost answer never makes a second submission.

import { poll } from "./poll.js";

const AT_ONCE = 2;

class UploadForm extends HTMLElement {
  #waiting = [];
  #running = 0;
  #counts = { all: 0, sent: 0, refused: 0 };

  connectedCallback() {
    if ("ready" in this.dataset) return;
    this.form = this.querySelector("form");
    this.input = this.querySelector("input[type=file]");
    this.list = this.querySelector("[data-list]");
    this.querySelector("[type=submit]").hidden = true;
    this.dataset.ready = "";
    this.input.addEventListener("change", () => {
      this.#take(this.input.files);
      this.input.value = "";
    });
    this.addEventListener("dragover", (event) => this.#over(event));
    this.addEventListener("dragleave", () => delete this.dataset.over);
    this.addEventListener("drop", (event) => this.#drop(event));
    addEventListener("beforeunload", (event) => { if (this.#running) event.preventDefault(); });
  }

  #over(event) {
    event.preventDefault();
    this.dataset.over = "";
  }

  #drop(event) {
    event.preventDefault();
    delete this.dataset.over;
    this.#take(event.dataTransfer.files);
  }

  #take(files) {
    this.list.hidden = false;
    for (const file of files) {
      const row = new Row(this, file);
      this.#counts.all += 1;
      if (file.size > Number(this.dataset.maxBytes)) {
        row.refuse(this.dataset.tooLarge);
        this.#counts.refused += 1;
      } else {
        this.#waiting.push(row);
      }
    }
    this.#summarise();
    this.#next();
  }

  async #next() {
    if (this.#running >= AT_ONCE || !this.#waiting.length) return;
    this.#running += 1;
    const row = this.#waiting.shift();
    this.#next();
    const outcome = await row.send(this.#body(row));
    this.#running -= 1;
    if (outcome) this.#counts[outcome] += 1;
    this.#summarise();
    this.#next();
  }

  again(row) {
    this.#waiting.push(row);
    this.#next();
  }

  #body(row) {
    const body = new FormData(this.form);
    body.set("upload_id", row.id);
    body.set("pictures", row.file, row.file.name);
    return body;
  }

  #summarise() {
    const words = this.dataset.summary.replace(/\{(\w+)\}/g, (_, name) => this.#counts[name]);
    this.querySelector("[role=status]").textContent = words;
  }
}

/** One file on its way. */
class Row {
  constructor(host, file) {
    this.host = host;
    this.file = file;
    this.id = newId();
    this.element = host.querySelector("template").content.firstElementChild.cloneNode(true);
    this.name = this.#part("name");
    this.state = this.#part("state");
    this.progress = this.element.querySelector("progress");
    this.retry = this.element.querySelector("button");
    this.name.textContent = file.name;
    this.#part("size").textContent = inWords(file.size);
    this.progress.setAttribute("aria-label", file.name);
    this.state.textContent = host.dataset.waiting;
    this.retry.textContent = host.dataset.retry;
    this.retry.addEventListener("click", () => this.#again());
    host.list.append(this.element);
  }

  /** Resolves to "sent", "refused", or nothing when the connection failed. */
  async send(body) {
    this.state.textContent = this.host.dataset.sending;
    let answer;
    try {
      answer = await post(this.host.form.action, body, (share) => { this.progress.value = share; });
    } catch {
      this.refuse(this.host.dataset.unsent);
      this.retry.hidden = false;
      return null;
    }
    const file = answer?.files?.[0];
    if (file?.id) {
      this.#follow(file);
      return "sent";
    }
    this.refuse(file?.error.message ?? firstError(answer) ?? this.host.dataset.lost);
    return "refused";
  }

  refuse(reason) {
    this.progress.hidden = true;
    this.state.textContent = "";
    this.#part("error").hidden = false;
    this.#part("error").lastElementChild.textContent = reason;
  }

  async #follow(file) {
    this.progress.hidden = true;
    this.state.textContent = this.host.dataset.received;
    const link = document.createElement("a");
    link.href = file.url;
    link.textContent = file.filename;
    this.name.replaceChildren(link);
    for await (const answer of poll(file.status_url)) {
      // Markup from our own template, where every value is escaped.
      this.state.innerHTML = answer.result;
      if (!answer.working) return;
    }
  }

  #again() {
    this.retry.hidden = true;
    this.progress.hidden = false;
    this.progress.value = 0;
    this.#part("error").hidden = true;
    this.state.textContent = this.host.dataset.waiting;
    this.host.again(this);
  }

  #part(name) {
    return this.element.querySelector(`.upload-${name}`);
  }
}

/** XMLHttpRequest, because fetch does not tell how much has been sent. */
function post(url, body, onShare) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) onShare(event.loaded / event.total); });
    request.addEventListener("load", () => resolve(parsed(request.responseText)));
    request.addEventListener("error", reject);
    request.addEventListener("timeout", reject);
    request.send(body);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function firstError(answer) {
  return Object.values(answer?.errors ?? {})[0]?.[0];
}

/** A random UUID; crypto.randomUUID is there on secure pages alone. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

function inWords(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const format = { style: "unit", unit: units[step], unitDisplay: "short", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(document.documentElement.lang, format).format(bytes / 1000 ** step);
}

customElements.define("upload-form", UploadForm);
