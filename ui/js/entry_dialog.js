// One entry in full: who found it, where, and under which other names.

import { byId, canCopy, copy, make, show } from "./dom.js";
import { count, duration } from "./format.js";
import { modelLabel } from "./model_label.js";

export function showEntry(item) {
  byId("entry-text").textContent = item.text;
  const facts = [
    ["Entry", count(item.ordinal)],
    ["Found by", modelLabel(item.model)],
    ["Producer", item.node],
    ["Facet", item.facet ?? ""],
    ["After", duration(item.t_s)],
    ["Also known as", (item.forms ?? []).join(", ")],
  ];
  byId("entry-facts").replaceChildren(...facts.filter(([, value]) => value).map(([name, value]) => {
    const row = make("div");
    const told = make("dd");
    told.dir = "auto";
    told.append(value);
    row.append(make("dt", "", name), told);
    return row;
  }));
  byId("entry-dialog").showModal();
}

byId("copy-entry").addEventListener("click", (event) => copy(byId("entry-text").textContent, event.currentTarget));
show(byId("copy-entry"), canCopy());
