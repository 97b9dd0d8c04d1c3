// Pause, resume, stop, target and budget. What the run makes of it shows in its state; what it
// refuses is said with its reason.

import { byId, setText, show, toast } from "./dom.js";
import { count, dollars } from "./format.js";
import { control } from "./requests.js";

let metrics = null;
let isConnected = false;

/** Whether the run can be asked for `action` now. */
export const allows = (action) => isConnected && (metrics?.actions ?? []).includes(action);

export function showControls(newMetrics, newIsConnected) {
  metrics = newMetrics ?? metrics;
  isConnected = newIsConnected;
  const actions = metrics?.actions ?? [];
  show(byId("controls"), actions.length > 0);
  const pauses = !actions.includes("resume");
  setText(byId("pause"), pauses ? "Pause" : "Resume");
  byId("pause").disabled = !allows(pauses ? "pause" : "resume");
  byId("stop").disabled = !allows("stop");
  show(byId("bounds"), actions.includes("set_target") || actions.includes("set_budget"));
  byId("bounds").disabled = !isConnected;
}

const underWay = new Map();

/**
 * Carry out what a button asks for, once at a time; a press that asks for another action, because
 * the run was quicker than its answer, comes next. A button that is disabled loses the focus.
 */
export function whileBusy(button, carryOut, action = null) {
  const latest = underWay.get(button);
  if (latest?.action === action) return latest.done;
  button.ariaBusy = "true";
  const mine = { action, done: null };
  mine.done = Promise.resolve(latest?.done).then(carryOut, carryOut).finally(() => {
    if (underWay.get(button) !== mine) return;
    underWay.delete(button);
    button.ariaBusy = null;
  });
  underWay.set(button, mine);
  return mine.done;
}

function ask(button, action) {
  whileBusy(button, async () => {
    const refused = await control({ action });
    if (refused) toast(`Could not ${action}: ${refused}`);
  }, action);
}

byId("pause").addEventListener("click", () => {
  ask(byId("pause"), metrics.actions.includes("resume") ? "resume" : "pause");
});

byId("stop").addEventListener("click", () => byId("stop-dialog").showModal());

byId("stop-dialog").addEventListener("close", () => {
  const dialog = byId("stop-dialog");
  if (dialog.returnValue === "stop") ask(byId("stop"), "stop");
  dialog.returnValue = "";
});

// Target and budget: nothing is asked of the run but what was changed

let opened = { target: null, budget_usd: null };

byId("bounds").addEventListener("click", () => {
  opened = { target: metrics.target ?? null, budget_usd: metrics.budget_usd ?? null };
  byId("new-target").value = opened.target ?? "";
  byId("new-budget").value = opened.budget_usd ?? "";
  byId("new-target").disabled = !allows("set_target");
  byId("new-budget").disabled = !allows("set_budget");
  setText(byId("bounds-refused"), "");
  byId("bounds-dialog").showModal();
  byId("new-target").select();
});

byId("keep-bounds").addEventListener("click", () => byId("bounds-dialog").close());

byId("bounds-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = [];
  for (const [wish, done] of wishes()) {
    const refused = Number.isNaN(Object.values(wish)[1]) ? "write a number such as 1500 or 0.05" : await control(wish);
    if (refused) {
      setText(byId("bounds-refused"), `Not changed: ${refused}`);
      if (said.length) toast(said.join(" "));
      return;
    }
    said.push(done);
  }
  byId("bounds-dialog").close();
  if (said.length) toast(said.join(" "));
});

/** [wish, what to say when it is done] of each changed field. */
function wishes() {
  const target = numberIn("new-target");
  const budget_usd = numberIn("new-budget");
  const wanted = [];
  if (target !== opened.target) {
    wanted.push([{ action: "set_target", target }, target === null ? "There is no target now." : `The target is ${count(target)} now.`]);
  }
  if (budget_usd !== opened.budget_usd) {
    wanted.push([{ action: "set_budget", budget_usd }, `The budget is ${dollars(budget_usd)} now.`]);
  }
  return wanted;
}

/** 1500, 1,500 or 0.05; a comma that is no mark of thousands could be meant for a point. */
const NUMBER = /^(\d+|\d{1,3}([, _]\d{3})+)?(\.\d+)?$/;

/** What a field holds: a number, null where it is empty, NaN where it is neither. */
function numberIn(id) {
  const text = byId(id).value.trim().replace(/^\$\s*/, "");
  if (text === "") return null;
  return NUMBER.test(text) ? Number(text.replace(/[, _]/g, "")) : NaN;
}
