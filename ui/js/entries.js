// The list of entries: newest first as they come, searched and filtered. Only the rows in sight
// are in the document, however long the list is. Entries come from models: they are shown as text
// whatever they contain.

import { colourOf } from "./colours.js";
import { byId, canCopy, copy, make, setText, show, toast } from "./dom.js";
import { showEntry } from "./entry_dialog.js";
import { EntryPages } from "./entry_pages.js";
import { count, counted, duration, modelName } from "./format.js";
import { getText } from "./requests.js";

const ROWS_BEYOND = 6;
/** Browsers cannot lay out more; past it a step of the scroll bar is several rows. */
const HEIGHT_MAX = 8_000_000;
const TYPING_MS = 250;
const REFRESH_MS = 2000;
/** Of more that come at once none is pointed out. */
const FLASHES_MAX = 12;

const NOTHING_YET = "Nothing yet. The first entries appear as soon as a model has written them.";
const SEARCHED = {
  asked: "Searching…",
  known: "No entry matches.",
  failed: "This cannot be searched now: the server does not answer.",
};

const list = byId("entries");
const place = byId("entries-rows");
const pages = new EntryPages(() => later());

let allCount = 0;
let seenTotal = 0;
let current = null;
let fresh = Infinity;
const rows = new Map();

/** Take in entries that have just come. */
export function addEntries(items) {
  if (!items.length) return;
  pages.add(items);
  later();
}

/** How many there are in all. */
export function showEntryCount(metrics) {
  allCount = metrics.unique_total;
  if (pages.isFiltered) refreshSoon();
  else pages.total = Math.max(pages.total, allCount);
  offerModels(metrics);
  later();
}

/** Models that can be asked for. */
function offerModels({ models, available_models = [] }) {
  const specs = new Set([...models.map((row) => row.model), ...available_models]);
  offer(byId("filter-model"), "All models", [...specs].sort().map((spec) => [spec, modelName(spec)]));
}

/** Facets that can be asked for; `names` in any order. */
export function offerFacets(names) {
  show(byId("filter-facet"), names.length > 0);
  offer(byId("filter-facet"), "All facets", [...names].sort().map((name) => [name, name]));
}

function offer(select, all, choices) {
  const key = JSON.stringify(choices);
  if (select.choices === key || select === document.activeElement) return;
  select.choices = key;
  const chosen = select.value;
  select.replaceChildren(new Option(all, ""), ...choices.map(([value, text]) => new Option(text, value)));
  select.value = chosen;
}

// Filters

/** Show what is asked for: called when any of the fields changes. */
function ask() {
  const filter = { q: byId("search").value.trim(), model: byId("filter-model").value, facet: byId("filter-facet").value };
  if (JSON.stringify(filter) === JSON.stringify(pages.filter)) return;
  const isFiltered = Object.values(filter).some(Boolean);
  pages.restart(filter, isFiltered ? 0 : allCount);
  show(byId("clear-filters"), isFiltered);
  clear();
  list.scrollTop = 0;
  seenTotal = pages.total;
  if (isFiltered) refresh();
  later();
}

/** Show the entries of one facet, as if it had been chosen from the list. */
export function showFacetEntries(name) {
  byId("filter-facet").value = name;
  ask();
  byId("entries-card").scrollIntoView();
}

let typing = 0;
byId("filters").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(ask, event.target === byId("search") ? TYPING_MS : 0);
});
byId("filters").addEventListener("reset", () => setTimeout(ask));
byId("filters").addEventListener("submit", (event) => { event.preventDefault(); ask(); });

let refreshing = 0;
let refreshedCount = -1;
/** Of a filtered list only the server knows how much there is of what has come. */
function refreshSoon() {
  if (refreshing || (refreshedCount === allCount && pages.state === "known")) return;
  refreshing = setTimeout(() => {
    refreshing = 0;
    if (pages.isFiltered && !document.hidden) refresh();
  }, REFRESH_MS);
}

async function refresh() {
  const count = allCount;
  if (await pages.refresh()) refreshedCount = count;
  else refreshSoon();
}

// The rows in sight

let drawing = 0;
/** Draw before the next frame is shown, once for however many changes. */
function later() {
  if (!drawing && !document.hidden) drawing = requestAnimationFrame(() => { drawing = 0; draw(); });
}

list.addEventListener("scroll", later, { passive: true });
document.addEventListener("visibilitychange", () => {
  if (pages.isFiltered) refreshSoon();
  later();
});
new ResizeObserver(() => { rowHeight = measured(); later(); }).observe(list);

const measured = () => parseFloat(getComputedStyle(list).getPropertyValue("--row-height")) || 56;
let rowHeight = measured();

/** Where the window's top is, in pixels of rows: of a long list the scroll bar tells only roughly. */
let top = 0;
/** Where the scroll bar was left; elsewhere, somebody has moved it. */
let barAt = 0;

/** How many rows of the full height one step of scrolling stands for. */
function compression(total = pages.total) {
  const wanted = total * rowHeight - list.clientHeight;
  return Math.max(1, wanted / (HEIGHT_MAX - list.clientHeight));
}

function draw() {
  keepPosition();
  const { total } = pages;
  const firstRow = Math.max(0, Math.floor(top / rowHeight) - ROWS_BEYOND);
  const lastRow = Math.min(total - 1, Math.ceil((top + list.clientHeight) / rowHeight) + ROWS_BEYOND);
  const inSight = new Set();
  for (let row = firstRow; row <= lastRow; row += 1) {
    const at = total - 1 - row;
    inSight.add(at);
    drawRow(at, row * rowHeight - top + barAt);
  }
  for (const [at, row] of rows) if (!inSight.has(at)) { row.element.remove(); rows.delete(at); }
  showNote();
  if (pages.state === "known") fresh = total;
}

/** Who reads further down keeps his place while new entries come above. */
function keepPosition() {
  if (list.scrollTop !== barAt) top = list.scrollTop * compression(seenTotal);
  const came = pages.total - seenTotal;
  seenTotal = pages.total;
  const height = Math.min(HEIGHT_MAX, pages.total * rowHeight);
  if (place.style.height !== `${height}px`) place.style.height = `${height}px`;
  if (came > 0 && top > rowHeight / 2) moveWindow(top + came * rowHeight);
  else barAt = list.scrollTop;
}

function moveWindow(newTop) {
  top = newTop;
  list.scrollTop = top / compression();
  barAt = list.scrollTop;
}

function drawRow(at, top) {
  const item = pages.at(at);
  let row = rows.get(at);
  if (!row) {
    row = { element: make("div", "entry"), item: null };
    row.element.id = `entry-${at}`;
    row.element.dataset.at = String(at);
    row.element.role = "option";
    if (at >= fresh && pages.total - fresh <= FLASHES_MAX) row.element.classList.add("new");
    rows.set(at, row);
    // In the document as on the screen: readers go by that order.
    const below = [...rows.keys()].filter((other) => other < at && rows.get(other).element.isConnected);
    place.insertBefore(row.element, below.length ? rows.get(Math.max(...below)).element : null);
  }
  row.element.style.transform = `translateY(${top}px)`;
  row.element.ariaPosInSet = String(pages.total - at);
  row.element.ariaSetSize = String(pages.total);
  row.element.ariaSelected = String(at === current);
  if (row.item !== item) fill(row, item);
}

function fill(row, item) {
  row.item = item;
  row.element.classList.toggle("loading", item === undefined);
  if (item === undefined) {
    row.element.replaceChildren(make("span", "text", "…"));
    return;
  }
  row.element.style.setProperty("--model", colourOf(item.model));
  const text = make("span", "text", item.text);
  text.dir = "auto";
  const also = item.forms?.length ? `also: ${item.forms.join(", ")}` : "";
  const source = make("span", "source");
  source.append(make("bdi", "", [modelName(item.model), item.node, item.facet, also].filter(Boolean).join(" · ")));
  row.element.replaceChildren(make("span", "ordinal", count(item.ordinal)), text, source, make("span", "when", duration(item.t_s)));
}

function clear() {
  for (const { element } of rows.values()) element.remove();
  rows.clear();
  current = null;
  fresh = Infinity;
}

function showNote() {
  const { total, isFiltered, state } = pages;
  const note = isFiltered ? `${count(total)} of ${counted(allCount, "entry", "entries")}` : counted(total, "entry", "entries");
  setText(byId("entries-note"), state === "known" ? note : "");
  show(byId("entries-empty"), total === 0);
  setText(byId("entries-empty"), isFiltered ? SEARCHED[state] : NOTHING_YET);
  // A list box without options is none.
  if (total) list.role = "listbox";
  else list.removeAttribute("role");
  const above = Math.floor(top / rowHeight);
  show(byId("to-newest"), above > 3);
  setText(byId("to-newest"), "↑ Newest");
  if (current !== null && rows.has(current)) list.setAttribute("aria-activedescendant", `entry-${current}`);
  else list.removeAttribute("aria-activedescendant");
}

byId("to-newest").addEventListener("click", () => { list.scrollTop = 0; current = null; later(); list.focus(); });

// Keys and clicks

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

list.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") {
    const item = rows.get(current)?.item;
    if (item) showEntry(item);
  } else if (event.key in STEPS) {
    moveTo(STEPS[event.key]);
  } else {
    return;
  }
  event.preventDefault();
});

function moveTo(step) {
  if (!pages.total) return;
  const from = current === null ? Math.floor(top / rowHeight) - Math.sign(step) : pages.total - 1 - current;
  const row = Math.min(pages.total - 1, Math.max(0, from + step));
  current = pages.total - 1 - row;
  const rowTop = row * rowHeight;
  if (rowTop < top) moveWindow(rowTop);
  else if (rowTop + rowHeight > top + list.clientHeight) moveWindow(rowTop + rowHeight - list.clientHeight);
  draw();
}

place.addEventListener("click", (event) => {
  const element = event.target.closest(".entry");
  if (!element) return;
  current = Number(element.dataset.at);
  draw();
  const item = rows.get(current)?.item;
  if (item) showEntry(item);
});

byId("copy-entries").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  try {
    await copy(pages.isFiltered ? await pages.allText() : await getText("output.txt"), button);
  } catch {
    toast("The entries could not be fetched: the server does not answer.");
  }
});
show(byId("copy-entries"), canCopy());
