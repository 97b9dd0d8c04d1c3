// What counts as one entry under several names, and which pairs are in doubt.

import { byId, make, setText, show } from "./dom.js";
import { count } from "./format.js";
import { getJson } from "./requests.js";

const REFRESH_MS = 3000;
const SHOWN_MAX = 100;

/** Ask for the names. */
export async function refreshNames() {
  try {
    showNames(await getJson(`api/names?limit=${SHOWN_MAX}`));
  } catch {
    // The connection's own state says so already.
  }
}

/** Ask for them every few seconds while `isConnected()` and the page is seen. */
export function keepNames(isConnected) {
  setInterval(() => { if (isConnected() && !document.hidden) refreshNames(); }, REFRESH_MS);
}

/** The command by which a person decides otherwise. */
export function showReviewCommand(reopenCommand) {
  setText(byId("review-command"), (reopenCommand ?? "").replace(" view ", " review "));
}

function showNames(names) {
  const { merged_total, open_total, different_total, merged, doubts } = names;
  show(byId("names-card"), merged_total + open_total + different_total > 0);
  const parts = [
    `${count(merged_total)} other ${merged_total === 1 ? "form" : "forms"} of entries`,
    `${count(open_total)} in doubt`,
    `${count(different_total)} judged different`,
  ];
  setText(byId("names-line"), parts.join(" · "));
  const open = doubts.filter((each) => each.verdict === "open").map(doubtRow);
  byId("names").replaceChildren(...open, ...merged.map(mergeRow));
}

function mergeRow(merge) {
  return nameRow(merge.text, "same as", merge.entry || "(left out)", merge.rule);
}

function doubtRow(doubt) {
  return nameRow(doubt.text, "perhaps", doubt.other, doubt.reason);
}

function nameRow(text, is, entry, why) {
  const element = make("tr");
  const head = make("th", "name", text);
  head.scope = "row";
  element.append(head, make("td", "", is), make("td", "name", entry), make("td", "", why));
  return element;
}
