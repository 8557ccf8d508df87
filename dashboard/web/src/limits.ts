/** Alarm ranges: which severity a value has, and how to say so without colour. */
import type { Limit, Severity } from "./model";

const ORDER: readonly Severity[] = ["watch", "warning", "distress", "critical", "severe"];

export type State = Severity | "normal";

const SIGNS: Record<State, string> = {
  normal: "●",
  watch: "△",
  warning: "▲",
  distress: "◆",
  critical: "■",
  severe: "✖",
};

export const sign = (state: State): string => SIGNS[state];

export const signText = (state: State): string => `${SIGNS[state]} ${state === "normal" ? "ok" : state}`;

/** The worst severity whose range the value is outside of; null where nothing is said about the value. */
export function limitState(value: number | null, limits: readonly Limit[]): State | null {
  if (value === null || Number.isNaN(value) || limits.length === 0) return null;
  let worst: State = "normal";
  for (const { severity, low, high } of limits) {
    const outside = (low !== null && value < low) || (high !== null && value > high);
    if (outside && (worst === "normal" || ORDER.indexOf(severity) > ORDER.indexOf(worst))) worst = severity;
  }
  return worst;
}

/** A range in words; empty where it has no end. */
export function boundsText(low: number | null, high: number | null): string {
  if (low !== null && high !== null) return `${low} … ${high}`;
  return low !== null ? `at least ${low}` : high !== null ? `at most ${high}` : "";
}

/** How urgent a state is, for sorting: 0 for normal. */
export const rank = (state: State): number => (state === "normal" ? 0 : ORDER.indexOf(state) + 1);
