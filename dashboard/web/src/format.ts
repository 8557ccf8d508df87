/** Values for reading: enough digits to work with, and the same number of them from one sample to the next. */
import type { Value } from "./arrow";
import type { Parameter } from "./model";
import { instantText } from "./time";

const DIGITS = 6;

/** Six significant digits with a steady number of decimals; an exponent where a number would get too long. */
export function numberText(value: number, digits = DIGITS): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  if (magnitude >= 1e10 || magnitude < 1e-4) return minus(value.toExponential(digits - 2).replace("e+", "e"));
  const decimals = Math.max(0, digits - 1 - Math.max(0, Math.floor(Math.log10(magnitude))));
  return minus(group(value.toFixed(decimals)));
}

const minus = (text: string): string => text.replaceAll("-", "−");

/** Thin spaces between groups of three digits before the point, from five digits on. */
function group(text: string): string {
  const [whole = "", fraction] = text.split(".");
  const grouped = whole.replace("-", "").length < 5 ? whole : whole.replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** An integer with its digits grouped. */
export const integerText = (value: number | bigint): string => minus(group(String(value)));

export function hexText(octets: Uint8Array, most = 12): string {
  const shown = Array.from(octets.subarray(0, most), (octet) => octet.toString(16).padStart(2, "0")).join(" ");
  return `${shown}${octets.length > most ? " …" : ""} (${octets.length} B)`;
}

/** Text of a value in the table, without its unit. */
export function valueText(value: Value, parameter: Parameter): string {
  if (value === null) return "–";
  if (value instanceof Uint8Array) return hexText(value);
  if (typeof value === "string") return value;
  if (parameter.kind === "enumeration") {
    const label = parameter.labels?.[String(value)];
    return label === undefined ? `${String(value)} (no label)` : label;
  }
  if (parameter.kind === "boolean") return value ? "true" : "false";
  if (parameter.kind === "time") return instantText(BigInt(value));
  if (typeof value === "bigint") return integerText(value);
  if (typeof value === "number")
    return Number.isInteger(value) && parameter.kind === "integer" ? integerText(value) : numberText(value);
  return String(value);
}

/** A value in full, for machines: shortest decimals that read back to the same number, base64 for octets. */
export function exactText(value: Value): string {
  if (value === null) return "";
  if (value instanceof Uint8Array) return btoa(String.fromCharCode(...value));
  if (typeof value === "number" && Object.is(value, -0)) return "-0";
  return String(value);
}

/** Short labels for the ticks of a value axis; `step` is the distance between two of them. */
export function axisText(value: number, step: number): string {
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude >= 1e10 || (magnitude < 1e-4 && step < 1e-4))) {
    const digits = Math.max(0, Math.min(12, Math.ceil(Math.log10(magnitude / step) - 1e-9)));
    return minus(value.toExponential(digits).replace("e+", "e"));
  }
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return minus(group(value.toFixed(Math.min(decimals, 9))));
}
