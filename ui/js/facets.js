// The plan: which facets the topic has, how rich each is, and who looks where.

import { byId, keepRows, make, setText, show } from "./dom.js";
import { offerFacets, showFacetEntries } from "./entries.js";
import { compactCount, count } from "./format.js";
import { whenSeen } from "./seen.js";

const SHOWN_MAX = 200;
const WORDS = { open: "not looked into yet", rich: "rich", thin: "thin", dry: "dry", split: "split" };

export function showFacets({ facets }) {
  const planned = facets.filter((facet) => facet.id !== 0);
  show(byId("facets-card"), planned.length > 0);
  show(byId("nav-facets-link"), planned.length > 0);
  setText(byId("nav-facets"), compactCount(planned.length));
  offerFacets(planned.filter((facet) => facet.found_total).map((facet) => facet.name));
  draw({ facets, planned });
}

const draw = whenSeen(byId("facets-card"), ({ facets, planned }) => {
  setText(byId("facets-line"), lineOf(planned));
  const first = [...facets].sort((a, b) => b.leased_by.length - a.leased_by.length || b.found_total - a.found_total);
  keepRows(byId("facets"), first.slice(0, SHOWN_MAX), (facet) => facet.id, facetRow, updateRow);
});

function lineOf(facets) {
  const states = Object.keys(WORDS).map((state) => [facets.filter((each) => each.state === state).length, WORDS[state]]);
  const parts = states.filter(([number]) => number).map(([number, word]) => `${count(number)} ${word}`);
  const more = facets.length > SHOWN_MAX ? [`the first ${count(SHOWN_MAX)} below`] : [];
  return [`${count(facets.length)} facets`, ...parts, ...more].join(" · ");
}

function facetRow(facet) {
  const element = make("tr");
  const head = make("th", "facet-name");
  head.scope = "row";
  const name = make(facet.id ? "button" : "span", facet.id ? "link" : "", facet.name || "The topic as a whole");
  name.dir = "auto";
  if (facet.id) {
    name.type = "button";
    name.title = "Show its entries";
    name.addEventListener("click", () => showFacetEntries(facet.name));
  }
  head.append(name);
  const chip = make("span", "chip");
  const state = make("td");
  state.append(chip);
  const [found, yielded, leases] = [make("td"), make("td"), make("td", "facet-leases")];
  element.append(head, state, found, yielded, leases);
  return { element, name, chip, found, yielded, leases };
}

function updateRow(row, facet) {
  row.chip.dataset.state = facet.state;
  setText(row.chip, WORDS[facet.state] ?? facet.state);
  setText(row.found, count(facet.found_total));
  setText(row.yielded, facet.yield === null ? "–" : `${Math.round(facet.yield * 100)} %`);
  setText(row.leases, facet.leased_by.join(", ") || "–");
  if (row.name instanceof HTMLButtonElement) row.name.disabled = facet.found_total === 0;
}
