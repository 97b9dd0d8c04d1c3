// What counts as one entry under several names, and which pairs are in doubt.

import { byId, make, setText, show } from "./dom.js";
import { compactCount, count, counted } from "./format.js";
import { whenSeen } from "./seen.js";

export function showNames(names) {
  const { merged_total, open_total, different_total } = names;
  const any = merged_total + open_total + different_total > 0;
  show(byId("names-card"), any);
  show(byId("nav-names-link"), any);
  setText(byId("nav-names"), compactCount(merged_total + open_total));
  const parts = [
    counted(merged_total, "other form of entries", "other forms of entries"),
    `${count(open_total)} in doubt`,
    `${count(different_total)} judged different`,
  ];
  setText(byId("names-line"), parts.join(" · "));
  draw(names);
}

let shown = "";

const draw = whenSeen(byId("names-card"), ({ merged, doubts }) => {
  const key = JSON.stringify([merged, doubts]);
  if (key === shown) return;
  shown = key;
  const open = doubts.filter((each) => each.verdict === "open").map((each) => nameRow(each.text, "perhaps", each.other, each.reason));
  byId("names").replaceChildren(...open, ...merged.map((each) => nameRow(each.text, "same as", each.entry || "(left out)", each.rule)));
});

function nameRow(text, is, entry, why) {
  const element = make("tr");
  const head = make("th", "name", text);
  head.scope = "row";
  const other = make("td", "name", entry);
  head.dir = "auto";
  other.dir = "auto";
  element.append(head, make("td", "", is), other, make("td", "", why));
  return element;
}
