// <label-chooser>: searching, "None applies" against labels, and what the label under hand means.

class LabelChooser extends HTMLElement {
  #none = this.querySelector("[name=none]");
  #search = this.querySelector("[type=search]");
  #about = document.querySelector("[data-about-line]");

  connectedCallback() {
    this.addEventListener("change", (event) => this.#exclude(event.target));
    document.addEventListener("change", (event) => { if (event.target.name === "outcome") this.#follow(event.target); });
    for (const name of ["focusin", "pointerover"]) this.addEventListener(name, (event) => this.#explain(event.target));
    this.querySelector(".search").hidden = false;
    this.#search.addEventListener("input", () => this.#filter());
    this.#search.addEventListener("keydown", (event) => this.#key(event));
  }

  #labels() {
    return [...this.querySelectorAll("[name=labels]")];
  }

  #exclude(changed) {
    if (changed === this.#none && changed.checked) this.#labels().forEach((each) => { each.checked = false; });
    if (changed.name === "labels" && changed.checked) this.#none.checked = false;
  }

  // Approving without a label says that none applies; rejecting never does.
  #follow(outcome) {
    if (outcome.value === "reject") this.#none.checked = false;
    else if (!this.#labels().some((each) => each.checked)) this.#none.checked = true;
  }

  #explain(target) {
    const box = target.closest(".pick")?.querySelector("[name=labels]");
    const words = box && document.getElementById(`${box.id}-about`);
    if (!words || !this.#about) return;
    const name = document.createElement("strong");
    name.textContent = box.value;
    this.#about.replaceChildren(name, ` ${words.textContent}`);
  }

  // --- search ---

  #filter() {
    const wanted = this.#search.value.trim().toLowerCase();
    let found = 0;
    for (const branch of this.querySelectorAll(".branch")) found += this.#filterBranch(branch, wanted);
    this.querySelector(".tree-empty").hidden = found > 0;
    const status = this.querySelector("[data-found]");
    status.textContent = wanted ? status.dataset.found.replace("{number}", found) : "";
  }

  #filterBranch(branch, wanted) {
    const fits = (pick) => pick.textContent.toLowerCase().includes(wanted);
    const below = [...branch.querySelectorAll("li")];
    const root = branch.querySelector(".root");
    for (const pick of below) pick.hidden = wanted !== "" && !fits(pick);
    const shown = below.filter((pick) => !pick.hidden).length;
    const own = Number(fits(root));
    branch.hidden = wanted !== "" && !own && !shown;
    branch.querySelector("details").open = wanted !== "" ? shown > 0 : below.some((pick) => pick.querySelector(":checked"));
    return shown + own;
  }

  #key(event) {
    if (event.key === "Escape") {
      this.#search.value = "";
      this.#filter();
    }
    if (event.key !== "Enter") return;
    event.preventDefault();
    const best = this.#best(this.#search.value.trim().toLowerCase());
    best?.click();
    if (best) this.#search.select();
  }

  // A name that begins with what was typed, else one that holds it, else a description that does.
  #best(wanted) {
    if (!wanted) return null;
    const boxes = this.#labels();
    const named = (test) => boxes.find((each) => test(each.value.toLowerCase()));
    return named((name) => name.startsWith(wanted)) ?? named((name) => name.includes(wanted))
      ?? boxes.find((each) => each.closest("li:not([hidden])") && each.closest(".tree"));
  }
}

customElements.define("label-chooser", LabelChooser);
