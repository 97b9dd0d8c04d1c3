// The run that a report holds (`report RUN_DIR`): answers what a server would, from the file.

class ReportedRun {
  #parts;

  constructor(parts) {
    this.#parts = parts;
  }

  get written() {
    return this.#parts.written;
  }

  answer(path) {
    const url = new URL(path, "report:/");
    const name = url.pathname.replace("/api/", "");
    return name === "items" ? this.#items(url.searchParams) : this.#parts[name];
  }

  /** The list as lines. */
  text() {
    return this.#parts.items.map((item) => `${item.text}\n`).join("");
  }

  #items(asked) {
    const [words, model, facet] = ["q", "model", "facet"].map((name) => asked.get(name) ?? "");
    const wanted = words.toLowerCase();
    const matches = this.#parts.items.filter((item) => item.ordinal > Number(asked.get("after") ?? 0)
      && (!model || item.model === model) && (!facet || item.facet === facet)
      && (!wanted || [item.text, ...item.forms].some((text) => text.toLowerCase().includes(wanted))));
    const skip = Number(asked.get("skip") ?? 0);
    const items = matches.slice(skip, skip + Number(asked.get("limit") ?? 200));
    const isFiltered = words || model || facet;
    return { items, next: null, total: isFiltered ? matches.length : this.#parts.items.length };
  }
}

const element = document.getElementById("reported-run");

/** { metrics, items, peers, facets, names } as the API answers them; null on a live page. */
export const reported = element ? new ReportedRun(JSON.parse(element.textContent)) : null;
