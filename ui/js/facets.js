// The plan: which facets the topic has, how rich each is, and who looks where.

import { byId, make, setText, show } from "./dom.js";
import { count } from "./format.js";
import { getJson } from "./requests.js";

const REFRESH_MS = 2000;
const SHOWN_MAX = 60;
const WORDS = { open: "not looked into yet", rich: "rich", thin: "thin", dry: "dry", split: "split" };

/** Ask for the facets. */
export async function refreshFacets() {
  try {
    showFacets((await getJson("api/facets")).facets);
  } catch {
    // The connection's own state says so already.
  }
}

/** Ask for the facets every other second while `isConnected()` and the page is seen. */
export function keepFacets(isConnected) {
  setInterval(() => { if (isConnected() && !document.hidden) refreshFacets(); }, REFRESH_MS);
}

function showFacets(facets) {
  const planned = facets.filter((facet) => facet.id !== 0);
  show(byId("facets-card"), planned.length > 0);
  setText(byId("facets-line"), lineOf(planned));
  const first = [...facets].sort((a, b) => b.leased_by.length - a.leased_by.length || b.found_total - a.found_total);
  byId("facets").replaceChildren(...first.slice(0, SHOWN_MAX).map(facetRow));
}

function lineOf(facets) {
  const states = Object.keys(WORDS).map((state) => [facets.filter((each) => each.state === state).length, WORDS[state]]);
  const parts = states.filter(([number]) => number).map(([number, word]) => `${count(number)} ${word}`);
  return [`${count(facets.length)} facets`, ...parts].join(" · ");
}

function facetRow(facet) {
  const element = make("tr");
  const head = make("th", "facet-name", facet.name || "The topic as a whole");
  head.scope = "row";
  const share = facet.yield === null ? "–" : `${Math.round(facet.yield * 100)} %`;
  element.append(
    head,
    make("td", "facet-state", WORDS[facet.state] ?? facet.state),
    make("td", "", count(facet.found_total)),
    make("td", "", share),
    make("td", "facet-leases", facet.leased_by.join(", ") || "–"),
  );
  return element;
}
