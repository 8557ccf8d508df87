/**
 * The time conductor: one range for all plots. It either follows each mission's clock, or it is fixed; missions live in
 * different years, so a fixed range has a window for each, all of them the same distance behind their own clocks.
 */
import { fromSeconds, secondsBetween, type Ns } from "./time";

export type Window = readonly [start: Ns, stop: Ns];

export type Range =
  | { readonly kind: "live"; readonly span: number }
  | { readonly kind: "fixed"; readonly span: number; readonly windows: Readonly<Record<string, Window>> };

export const LIVE_SPANS: readonly (readonly [seconds: number, label: string])[] = [
  [60, "1 min"],
  [300, "5 min"],
  [900, "15 min"],
  [3600, "1 h"],
  [21_600, "6 h"],
];

const SHORTEST = 1000n; // ns
const LONGEST = fromSeconds(30 * 366 * 86_400);

/** The window of a mission whose live edge is at `edge`. */
export function windowOf(range: Range, mission: string, edge: Ns): Window {
  if (range.kind === "fixed") {
    const window = range.windows[mission];
    if (window) return window;
  }
  return [edge - fromSeconds(range.span), edge];
}

/** Fixes the range at `window` of one mission, and the other missions at the same distance from their own edges. */
export function fix(window: Window, mission: string, edges: Readonly<Record<string, Ns>>): Range {
  let [start, stop] = window;
  if (stop - start < SHORTEST) [start, stop] = [start - SHORTEST / 2n, start + SHORTEST / 2n];
  if (stop - start > LONGEST) start = stop - LONGEST;
  const windows: Record<string, Window> = {};
  const edge = edges[mission];
  for (const [other, itsEdge] of Object.entries(edges))
    if (edge !== undefined) windows[other] = [itsEdge + (start - edge), itsEdge + (stop - edge)];
  windows[mission] = [start, stop];
  return { kind: "fixed", span: secondsBetween(stop, start), windows };
}

/** A window `factor` times as long around the instant at `share` (0 to 1) of it, which stays where it is. */
export function zoom([start, stop]: Window, factor: number, share: number): Window {
  const length = Number(stop - start);
  const anchor = start + BigInt(Math.round(length * share));
  const grown = Math.max(length * factor, Number(SHORTEST));
  return [anchor - BigInt(Math.round(grown * share)), anchor + BigInt(Math.round(grown * (1 - share)))];
}

/** The window moved by `share` of its length; later for a positive share. */
export function pan([start, stop]: Window, share: number): Window {
  const by = BigInt(Math.round(Number(stop - start) * share));
  return [start + by, stop + by];
}

/** What to ask the store for so that `window` can be drawn `pixels` wide and panned a little. */
export function request(window: Window, pixels: number, live: boolean): { start: Ns; stop: Ns; buckets: number } {
  const length = window[1] - window[0];
  const [before, after] = live ? [length / 20n, length / 4n] : [length / 2n, length / 2n];
  const start = window[0] - before;
  const stop = window[1] + (after > 0n ? after : 1n);
  const buckets = Math.ceil((pixels * Number(stop - start)) / Number(length));
  return { start, stop, buckets: Math.min(Math.max(buckets, 16), 8000) };
}
