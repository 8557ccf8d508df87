/** The cursor, shared by the plots of one mission, and what a plot's legend reads at it. */
import { signal } from "@preact/signals";
import type { Ns } from "./time";

/** The instant under the pointer, and the plot that the pointer is in. */
export const cursor = signal<{ mission: string; at: Ns; owner: object } | null>(null);

/** What the legend says of a parameter under the cursor; null text where it has no sample there. */
export interface Reading {
  text: string | null;
  band: string | null;
}

export interface Readings {
  /** Time of the cursor; null shows the newest values. */
  at: Ns | null;
  rows: readonly Reading[];
}
