// How values are written on the page: numbers, durations, money, model names.

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => whole.format(value ?? 0);
export const compactCount = (value) => compact.format(value ?? 0);
export const percent = (share) => `${(100 * (share ?? 0)).toFixed(1)} %`;
/** "1 node", "2 nodes". */
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** 75.4 → "1:15", 3675 → "1:01:15". */
export function duration(seconds) {
  const total = Math.max(0, Math.floor(seconds ?? 0));
  const pad = (value) => String(value).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

/** A guess of a duration, no finer than anyone can guess: "about 40 s", "about 3 min". */
export function about(seconds) {
  if (seconds < 5) return "moments";
  if (seconds < 90) return `about ${Math.round(seconds / 5) * 5} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `about ${Math.round(seconds / 3600)} h`;
  return `about ${count(Math.round(seconds / 86_400))} days`;
}

/** Money with as many digits as matter; an unknown price is a dash, never zero. */
export function dollars(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "$0";
  if (value < 0.00005) return "< $0.0001";
  const digits = value >= 1 ? 2 : value >= 0.1 ? 3 : 4;
  return `$${value.toFixed(digits)}`;
}

export function milliseconds(value) {
  if (value === null || value === undefined) return null;
  if (value >= 10_000) return `${Math.round(value / 1000)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** 2.345 → "2.3 s"; a dash where it is not known. */
export const seconds = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(1)} s`);

/** "simulated:atlas" → ["simulated", "atlas"]; "llama@http://host/v1" → ["host", "llama"]. */
export function modelParts(spec) {
  const at = spec.indexOf("@");
  if (at > 0) return [spec.slice(at + 1).replace(/^https?:\/\//, "").split("/")[0], spec.slice(0, at)];
  const colon = spec.indexOf(":");
  return colon > 0 ? [spec.slice(0, colon), spec.slice(colon + 1)] : ["", spec];
}

export const modelName = (spec) => modelParts(spec)[1];

/** A time of day, as the reader's clock shows it. */
export const clock = (date) => date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
