// The figures: state, totals, the table of models, notices.

import { byId, make, setText, show } from "./dom.js";
import { compactCount, count, dollars, duration, modelParts, percent } from "./format.js";
import { assignColours, colourOf } from "./colours.js";

const STATE_WORDS = {
  starting: "Starting", running: "Running", paused: "Paused", draining: "Finishing", stopped: "Finished",
};

export function showMetrics(metrics) {
  assignColours([...(metrics.available_models ?? []), ...metrics.models.map((row) => row.model)]);
  setText(byId("topic"), metrics.topic);
  show(byId("simulated"), metrics.simulated);
  document.title = `${count(metrics.unique_total)} · ${metrics.topic} · Topic Mesh`;
  showState(metrics.state, metrics.stop_reason);
  showFigure("unique-total", metrics.unique_total);
  showFigure("unique-last-minute", metrics.unique_last_minute);
  setText(byId("rate"), rateText(metrics));
  showTarget(metrics);
  showFacts(metrics);
  showModels(metrics.models);
  showNotices(metrics.notices ?? []);
  setText(byId("run-dir"), metrics.run_dir ?? "");
}

export function showState(state, reason) {
  const chip = byId("state");
  setText(chip, STATE_WORDS[state] ?? state);
  chip.dataset.state = state;
  document.body.dataset.state = state;
  // Once finished, the reason has a place of its own.
  setText(byId("reason"), state === "stopped" ? "" : (reason ?? ""));
}

/** A large number; one with more digits is written smaller, so that it fits its card. */
function showFigure(id, value) {
  const text = count(value);
  setText(byId(id), text);
  byId(id).style.setProperty("--fit", String(Math.min(1, 3.4 / text.length)));
}

function rateText(metrics) {
  const window_s = Math.min(60, metrics.elapsed_s);
  if (metrics.state === "stopped" || window_s < 5) return "";
  return `${(metrics.unique_last_minute / window_s).toFixed(1)} a second`;
}

function showTarget({ target, unique_total }) {
  show(byId("target"), Boolean(target));
  if (!target) return;
  const share = Math.min(1, unique_total / target);
  byId("target-fill").style.width = `${100 * share}%`;
  byId("target-bar").setAttribute("aria-valuenow", String(Math.round(100 * share)));
  setText(byId("target-text"), `${Math.floor(100 * share)} % of target ${count(target)}`);
}

function showFacts(metrics) {
  const sum = (key) => metrics.models.reduce((total, row) => total + (row[key] ?? 0), 0);
  const failed = sum("calls_failed");
  const [input, cached] = [sum("input_tokens"), sum("cached_input_tokens")];
  setText(byId("elapsed"), duration(metrics.elapsed_s));
  setFact("cost", ...costText(metrics));
  setFact("cost-of-100", dollars(metrics.cost_per_100_unique_usd));
  setFact("duplicate-rate", percent(metrics.duplicate_rate),
    `${count(metrics.duplicates_total)} of ${count(metrics.generated_total)}`);
  setFact("calls", count(sum("calls_total")), failed ? `${count(failed)} failed` : "");
  setFact("tokens", compactCount(input + sum("output_tokens")),
    input ? `${Math.round((100 * cached) / input)} % of input cached` : "");
}

function setFact(id, value, aside = "") {
  const element = byId(id);
  if (element.dataset.shown === `${value}|${aside}`) return;
  element.dataset.shown = `${value}|${aside}`;
  element.replaceChildren(value);
  if (aside) element.append(" ", make("span", "aside", aside));
}

function costText({ cost_usd, cost_complete, budget_usd, simulated }) {
  const budget = [budget_usd ? `of ${dollars(budget_usd)}` : "", simulated ? "play money" : ""]
    .filter(Boolean).join(" ");
  if (cost_complete) return [dollars(cost_usd), budget];
  return cost_usd ? [`≥ ${dollars(cost_usd)}`, "some prices unknown"] : ["–", "price unknown"];
}

const rows = new Map();

function showModels(models) {
  const body = byId("models");
  const providers = new Set(models.map((row) => modelParts(row.model)[0]));
  document.body.classList.toggle("many-providers", providers.size > 1);
  const most = Math.max(1, ...models.map((row) => row.unique_last_minute));
  for (const model of models) {
    let row = rows.get(model.model);
    if (!row) {
      row = modelRow(model.model);
      rows.set(model.model, row);
      body.append(row.element);
    }
    setText(row.lastMinute, count(model.unique_last_minute));
    row.bar.style.width = `${(100 * model.unique_last_minute) / most}%`;
    setText(row.unique, count(model.unique_total));
    const generated = model.generated_total || 1;
    setText(row.duplicates, percent(model.duplicates_total / generated));
    setText(row.calls, count(model.calls_total));
    row.calls.title = model.calls_failed ? `${count(model.calls_failed)} failed` : "";
    setText(row.cost, dollars(model.cost_usd));
    const [each, cached] = [dollars(model.cost_per_100_unique_usd), percent(model.cached_share)];
    setText(row.costOf100, each);
    setText(row.cached, cached);
    row.cost.title = `${each} for 100 unique; ${cached} of input cached`;
  }
}

function modelRow(model) {
  const element = make("tr");
  const name = make("th");
  name.scope = "row";
  name.append(modelLabel(model));
  const lastMinute = make("span", "value");
  const bar = make("span", "share");
  bar.style.background = colourOf(model);
  const track = make("span", "track");
  track.append(bar);
  const first = make("td", "last-minute");
  first.append(track, lastMinute);
  const unique = make("td");
  const duplicates = make("td", "wide");
  const calls = make("td", "wide widest");
  const cost = make("td");
  const costOf100 = make("td", "roomy");
  const cached = make("td", "roomy");
  element.append(name, first, unique, duplicates, calls, cost, costOf100, cached);
  return { element, lastMinute, bar, unique, duplicates, calls, cost, costOf100, cached };
}

/** Colour and name of a model, provider in small. */
export function modelLabel(model) {
  const [provider, name] = modelParts(model);
  const label = make("span", "model");
  label.title = model;
  const swatch = make("span", "swatch");
  swatch.style.background = colourOf(model);
  label.append(swatch, make("span", "model-name", name));
  if (provider) label.append(make("span", "provider", provider));
  return label;
}

let shownNotices = "";

function showNotices(notices) {
  const key = JSON.stringify(notices);
  if (key === shownNotices) return;
  shownNotices = key;
  byId("notices").replaceChildren(...notices.map((text) => make("li", "", text)));
}
