// The table of models: a row each, sums below, sorted by whichever column is asked for.

import { assignColours, colourOf } from "./colours.js";
import { byId, keepRows, make, setText, show } from "./dom.js";
import { compactCount, count, dollars, modelName, modelParts, percent, seconds } from "./format.js";
import { modelLabel } from "./model_label.js";
import { whenSeen } from "./seen.js";

const yieldOf = (row) => (row.generated_total ? row.unique_total / row.generated_total : null);
const share = (value) => (value === null || value === undefined ? "–" : percent(value));
const tokensOf = (row) => (row.input_tokens ?? 0) + (row.output_tokens ?? 0);

/** title, what it is sorted by, how it is written; `note` explains it. */
const COLUMNS = [
  { title: "Model", value: (row) => modelName(row.model), ascending: true },
  { title: "Last minute", value: (row) => row.unique_last_minute, text: count },
  { title: "Unique", value: (row) => row.unique_total, text: count },
  { title: "Yield", value: yieldOf, text: share, note: "Unique entries of all that it has written" },
  { title: "Duplicates", value: (row) => row.duplicates_total, text: count },
  { title: "Rejected", value: (row) => row.rejected_total, text: count, note: "Lines that cannot be entries" },
  { title: "Calls", value: (row) => row.calls_total, text: count },
  { title: "Failed", value: (row) => row.calls_failed, text: count },
  { title: "p50", value: (row) => row.latency_s_p50, text: seconds, note: "Half of the calls took no longer" },
  { title: "p95", value: (row) => row.latency_s_p95, text: seconds, note: "95 % of the calls took no longer" },
  { title: "Tokens", value: tokensOf, text: compactCount, note: "Written and read" },
  { title: "Cached", value: (row) => row.cached_share, text: share, note: "Share of the prompts that came from the provider's cache" },
  { title: "Cost", value: (row) => row.cost_usd, text: dollars },
  { title: "Per 100", value: (row) => row.cost_per_100_unique_usd, text: dollars, note: "Cost of 100 unique entries" },
];
const LAST_MINUTE = COLUMNS[1];

let sortedBy = COLUMNS[2];
let ascending = false;
let latest = null;

export function showModels(metrics) {
  latest = metrics;
  assignColours([...(metrics.available_models ?? []), ...metrics.models.map((row) => row.model)]);
  setText(byId("nav-models"), count(metrics.models.length));
  draw(metrics);
}

const draw = whenSeen(byId("models-card"), (metrics) => {
  const { models } = metrics;
  const providers = new Set(models.map((row) => modelParts(row.model)[0]));
  document.body.classList.toggle("many-providers", providers.size > 1);
  const most = Math.max(1, ...models.map((row) => row.unique_last_minute));
  keepRows(byId("models"), rowsOf(sorted(models)), (row) => row.key, makeRow, (row, item) => updateRow(row, item, most));
  showSums(metrics);
});

/** Each model, and below it its latest error where there is one. */
function rowsOf(models) {
  return models.flatMap((model) => {
    const row = { key: model.model, model };
    return model.last_error ? [row, { key: `${model.model}\n!`, model, error: model.last_error }] : [row];
  });
}

function sorted(models) {
  const { value } = sortedBy;
  const sign = ascending ? 1 : -1;
  // What is not known comes last, whichever way.
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === y) return a.model < b.model ? -1 : 1;
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return sign * (x < y ? -1 : 1);
  };
  return [...models].sort(compare);
}

function makeRow({ model: { model }, error }) {
  const element = make("tr", error ? "error" : "");
  if (error) {
    const cell = make("td");
    cell.colSpan = COLUMNS.length;
    const told = make("span");
    cell.append(told);
    element.append(cell);
    return { element, told };
  }
  const head = make("th");
  head.scope = "row";
  head.append(modelLabel(model));
  const cells = COLUMNS.slice(1).map(() => make("td"));
  const bar = make("span", "share");
  bar.style.background = colourOf(model);
  const track = make("span", "track");
  track.append(bar);
  const lastMinute = make("span", "value");
  cells[0].className = "last-minute";
  cells[0].append(track, lastMinute);
  element.append(head, ...cells);
  return { element, bar, texts: [lastMinute, ...cells.slice(1)] };
}

function updateRow(row, { model, error }, most) {
  if (error) {
    setText(row.told, `Latest failure: ${error}`);
    return;
  }
  row.bar.style.width = `${(100 * LAST_MINUTE.value(model)) / most}%`;
  for (const [index, column] of COLUMNS.slice(1).entries()) setText(row.texts[index], column.text(column.value(model)));
}

function showSums(metrics) {
  const { models } = metrics;
  const place = byId("models-table").tFoot.rows[0];
  show(place, models.length > 1);
  const sum = (key) => models.reduce((total, row) => total + (row[key] ?? 0), 0);
  const all = {
    ...metrics,
    calls_total: sum("calls_total"),
    calls_failed: sum("calls_failed"),
    input_tokens: sum("input_tokens"),
    output_tokens: sum("output_tokens"),
    latency_s_p50: null,
    latency_s_p95: null,
    cost_usd: metrics.cost_complete || metrics.cost_usd ? metrics.cost_usd : null,
  };
  while (place.cells.length < COLUMNS.length) place.append(make(place.cells.length ? "td" : "th"));
  place.cells[0].scope = "row";
  setText(place.cells[0], "All");
  for (const [index, column] of COLUMNS.slice(1).entries()) setText(place.cells[index + 1], column.text(column.value(all)));
}

// The head: a button in each column sorts by it, once more the other way

function showHead() {
  const cells = COLUMNS.map((column) => {
    const cell = make("th");
    cell.scope = "col";
    const button = make("button", "sort", column.title);
    button.type = "button";
    if (column.note) button.title = column.note;
    button.addEventListener("click", () => sortBy(column));
    cell.append(button);
    return cell;
  });
  byId("models-table").tHead.rows[0].replaceChildren(...cells);
  showOrder();
}

function sortBy(column) {
  ascending = column === sortedBy ? !ascending : Boolean(column.ascending);
  sortedBy = column;
  showOrder();
  if (latest) draw(latest);
}

function showOrder() {
  for (const [index, cell] of [...byId("models-table").tHead.rows[0].cells].entries()) {
    if (COLUMNS[index] === sortedBy) cell.ariaSort = ascending ? "ascending" : "descending";
    else cell.removeAttribute("aria-sort");
  }
}

showHead();
