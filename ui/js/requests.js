// Asking the server, or, in a report, the run that the file itself holds. Every path is relative
// to the page, which may live below a prefix.

import { reported } from "./reported_run.js";

const TIMEOUT_MS = 10_000;

/** Whether this page is a file that holds its run: there is no server to ask. */
export const isReport = () => reported !== null;

/** When the report was written. */
export const writtenAt = () => new Date(reported.written);

let isDetached = false;

/** Ask nobody any more: another run is at this address. */
export function detach() {
  isDetached = true;
}

function assertAttached() {
  if (isDetached) throw new Error("another run is at this address");
}

/** The answer of a GET; throws when there is none. */
export async function getJson(path) {
  if (reported) return reported.answer(path);
  assertAttached();
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${path.split("?")[0]}: ${response.status}`);
  return response.json();
}

export async function getText(path) {
  if (reported) return reported.text(path);
  assertAttached();
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.text();
}

/** Ask the run for something; returns why it was refused, or null. */
export async function control(wish) {
  try {
    assertAttached();
    const response = await fetch("api/control", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wish),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = await response.json();
    return answer.ok ? null : (answer.reason ?? "refused");
  } catch {
    return "the server did not answer";
  }
}

export function socketUrl() {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}
