// Entries as the list needs them: by place, the oldest first, fetched a page at a time and kept in
// bounded number. A place stays an entry's, since a list grows at its end: of all entries it is
// ordinal - 1; of those that a filter lets through it counts these alone. Where one of those comes
// in between after all (an early entry gets another name), the answer's `shifted` tells, and all
// is fetched anew.

import { getJson } from "./requests.js";

const PAGE = 100;
const LARGE_PAGE = 5000;
const PAGES_MAX = 60;
const FETCHES_MAX = 3;
const AGAIN_MS = 1000;

export class EntryPages {
  /** { q, model, facet }, each "" for all. */
  filter = { q: "", model: "", facet: "" };
  /** How many entries there are, as far as is known. */
  total = 0;
  /** "known", "asked" when the filter's first answer is still to come, "failed" when none came. */
  state = "known";
  #shifted = 0;
  #retry = 0;
  #pages = new Map();
  #fetching = new Map();
  #changed;
  #generation = 0;

  /** `changed()` is called when an entry or the total has become known. */
  constructor(changed) {
    this.#changed = changed;
  }

  get isFiltered() {
    return Object.values(this.filter).some(Boolean);
  }

  /** Show what `filter` lets through from now on. */
  restart(filter, total) {
    this.filter = filter;
    this.#generation += 1;
    this.#pages.clear();
    this.#fetching.clear();
    this.#shifted = 0;
    this.total = total;
    this.state = this.isFiltered ? "asked" : "known";
  }

  /** The entry at `place`, or undefined: it is being fetched. */
  at(place) {
    const number = Math.floor(place / PAGE);
    const page = this.#pages.get(number);
    // What is looked at is kept, however many come meanwhile.
    if (page && this.#pages.delete(number)) this.#pages.set(number, page);
    const item = page?.[place % PAGE];
    if (item === undefined) this.#fetch(number);
    return item;
  }

  /** Take in entries that have just come; of a filtered list they are fetched when asked for. */
  add(items) {
    if (this.isFiltered || !items.length) return;
    for (const item of items) this.#put(item.ordinal - 1, item);
    this.total = Math.max(this.total, items[items.length - 1].ordinal);
    this.#bound();
  }

  /** Ask how many there are now, and for the newest of them; whether that was answered. */
  refresh() {
    return this.#fetch(Math.floor(this.total / PAGE), true);
  }

  /** All entries that the filter lets through, a line each, the oldest first. */
  async allText() {
    const asked = this.#asked(LARGE_PAGE);
    const lines = [];
    for (let after = 0; after !== null;) {
      asked.set("after", String(after));
      const { items, next } = await getJson(`api/items?${asked}`);
      for (const item of items) lines.push(`${item.text}\n`);
      after = next;
    }
    return lines.join("");
  }

  #put(place, item) {
    const number = Math.floor(place / PAGE);
    const page = this.#pages.get(number) ?? [];
    page[place % PAGE] = item;
    this.#pages.delete(number);
    this.#pages.set(number, page);
  }

  #bound() {
    for (const number of this.#pages.keys()) {
      if (this.#pages.size <= PAGES_MAX) return;
      this.#pages.delete(number);
    }
  }

  async #fetch(number, isWanted = false) {
    const now = performance.now();
    if (!isWanted && (this.#fetching.get(number) ?? -Infinity) > now) {
      this.#askAgain();
      return;
    }
    if (this.#fetching.size >= FETCHES_MAX && !isWanted) this.#forget(now);
    if (this.#fetching.size >= FETCHES_MAX && !isWanted) {
      this.#askAgain();
      return;
    }
    // Entries that are counted but not readable yet are asked for again, not at once.
    this.#fetching.set(number, now + AGAIN_MS);
    const generation = this.#generation;
    try {
      const { items, total, shifted = 0 } = await getJson(this.#path(number * PAGE));
      if (generation !== this.#generation) return false;
      if (shifted !== this.#shifted) this.#pages.clear();
      this.#shifted = shifted;
      for (const [index, item] of items.entries()) this.#put(number * PAGE + index, item);
      this.total = Math.max(this.total, total ?? 0);
      this.state = "known";
      if (items.length === PAGE || number * PAGE + items.length >= this.total) this.#fetching.delete(number);
      this.#bound();
      this.#changed();
      return true;
    } catch {
      if (generation !== this.#generation) return false;
      if (this.state === "asked") this.state = "failed";
      this.#changed();
      return false;
    }
  }

  /** Have the list drawn again, and so what it lacks asked for, when others have been answered. */
  #askAgain() {
    this.#retry ||= setTimeout(() => { this.#retry = 0; this.#changed(); }, AGAIN_MS / 4);
  }

  #forget(now) {
    for (const [number, until] of this.#fetching) if (until <= now) this.#fetching.delete(number);
  }

  #path(first) {
    const asked = this.#asked(PAGE);
    asked.set(this.isFiltered ? "skip" : "after", String(first));
    return `api/items?${asked}`;
  }

  #asked(limit) {
    const asked = new URLSearchParams({ limit: String(limit) });
    for (const [name, value] of Object.entries(this.filter)) if (value) asked.set(name, value);
    return asked;
  }
}
