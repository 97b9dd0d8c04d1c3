// The list of entries: newest first, or what a search finds. Entries come from models: they are
// shown as text whatever they contain, and only so many of them are in the document.

import { byId, make, setText, show } from "./dom.js";
import { count, duration, modelName } from "./format.js";
import { colourOf } from "./colours.js";
import { getJson } from "./requests.js";

export const SHOWN_MAX = 200;
const SEARCH_DELAY_MS = 250;
const SEARCH_AGAIN_MS = 3000;

let newest = [];
let lastOrdinal = 0;
let query = "";
let searchTimer = 0;

export const newestOrdinal = () => lastOrdinal;

/** Take in entries with rising ordinals; those that are known already are passed over. */
export function addEntries(items) {
  const fresh = items.filter((item) => item.ordinal > lastOrdinal);
  if (!fresh.length) return;
  const first = lastOrdinal === 0;
  lastOrdinal = fresh[fresh.length - 1].ordinal;
  newest = [...newest, ...fresh].slice(-SHOWN_MAX);
  if (query) return;
  const list = byId("entries");
  list.prepend(...fresh.slice(-SHOWN_MAX).reverse().map((item) => row(item, !first)));
  while (list.childElementCount > SHOWN_MAX) list.lastElementChild.remove();
  show(byId("entries-empty"), false);
}

byId("search").addEventListener("input", (event) => {
  query = event.target.value.trim();
  clearTimeout(searchTimer);
  if (query) searchTimer = setTimeout(search, SEARCH_DELAY_MS);
  else showNewest();
});

function showNewest() {
  setText(byId("entries-title"), "Newest entries");
  show(byId("entries-note"), false);
  fill([...newest].reverse(), "Nothing yet.");
}

async function search() {
  const asked = query;
  try {
    const found = await getJson(`api/items?limit=${SHOWN_MAX}&q=${encodeURIComponent(asked)}`);
    if (asked !== query) return;
    setText(byId("entries-title"), "Found entries");
    const more = found.next === null ? "" : "more than ";
    setText(byId("entries-note"), `${more}${count(found.items.length)} of all entries match`);
    show(byId("entries-note"), true);
    fill(found.items, "No entry matches.");
  } catch {
    setText(byId("entries-note"), "The server cannot be asked now.");
    show(byId("entries-note"), true);
  }
  if (asked === query) searchTimer = setTimeout(search, SEARCH_AGAIN_MS);
}

let filled = "";

function fill(items, emptyText) {
  const key = items.map((item) => item.ordinal).join();
  setText(byId("entries-empty"), emptyText);
  show(byId("entries-empty"), items.length === 0);
  if (query && key === filled) return;
  filled = query ? key : "";
  byId("entries").replaceChildren(...items.map((item) => row(item, false)));
}

function row(item, isNew) {
  const element = make("li", isNew ? "new" : "");
  element.value = item.ordinal;
  element.style.setProperty("--model", colourOf(item.model));
  element.append(make("span", "ordinal", count(item.ordinal)));
  const text = make("span", "text", item.text);
  text.dir = "auto";
  const origin = [modelName(item.model), item.facet].filter(Boolean).join(" · ");
  const source = make("span", "source", origin);
  source.title = `${item.model}, ${item.node}`;
  element.append(text, source, make("time", "when", duration(item.t_s)));
  return element;
}
