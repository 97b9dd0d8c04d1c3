// How values are written on the page: numbers, durations, money, model names.

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => whole.format(value ?? 0);
export const compactCount = (value) => compact.format(value ?? 0);
export const percent = (share) => `${(100 * (share ?? 0)).toFixed(1)} %`;

/** 75.4 → "1:15", 3675 → "1:01:15". */
export function duration(seconds) {
  const total = Math.max(0, Math.floor(seconds ?? 0));
  const pad = (value) => String(value).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

/** Money with as many digits as matter; an unknown price is a dash, never zero. */
export function dollars(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "$0";
  const digits = value >= 1 ? 2 : value >= 0.1 ? 3 : 4;
  return `$${value.toFixed(digits)}`;
}

export function milliseconds(value) {
  if (value === null || value === undefined) return null;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** "simulated:atlas" → ["simulated", "atlas"]; "llama@http://host/v1" → ["host", "llama"]. */
export function modelParts(spec) {
  const at = spec.indexOf("@");
  if (at > 0) return [spec.slice(at + 1).replace(/^https?:\/\//, "").split("/")[0], spec.slice(0, at)];
  const colon = spec.indexOf(":");
  return colon > 0 ? [spec.slice(0, colon), spec.slice(colon + 1)] : ["", spec];
}

export const modelName = (spec) => modelParts(spec)[1];
