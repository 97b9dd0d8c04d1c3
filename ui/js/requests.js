// Asking the server. Every path is relative to the page, which may live below a prefix.

const TIMEOUT_MS = 10_000;

/** The answer of a GET; throws when there is none. */
export async function getJson(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${path.split("?")[0]}: ${response.status}`);
  return response.json();
}

/** Ask the run for something; returns why it was refused, or null. */
export async function control(wish) {
  try {
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
