/** The newest value of every parameter that this page has heard of, exactly as it came. */
import { fromBase64, type Batch, type LatestRow, type Value } from "./arrow";
import type { Parameter } from "./model";
import { secondsBetween, type Ns } from "./time";

export interface Latest {
  time: Ns;
  ert: Ns;
  value: Value;
}

/** Samples missed before a value counts as expired, and the least age (s) for it. */
const MISSED = 5;
const LEAST_S = 10;
/** Expiry (s) while a container's rhythm isn't known. */
const UNKNOWN_S = 30;

export class LatestValues {
  private values = new Map<string, Latest>();
  private newest = new Map<string, Ns>();
  private interval = new Map<string, number>();

  /** Takes the last row with a value of each parameter of a live batch. */
  batch(batch: Batch): void {
    if (!batch.rows) return;
    const key = `${batch.mission}:${batch.container}`;
    const last = batch.time[batch.rows - 1]!;
    const before = this.newest.get(key);
    if (before !== undefined && last > before) {
      const step = secondsBetween(last, before) / batch.rows;
      const old = this.interval.get(key);
      // Rises at once and falls slowly: a burst must not make the next pause look like silence.
      this.interval.set(key, old === undefined ? step : Math.max(step, old * 0.9));
    }
    if (before === undefined || last > before) this.newest.set(key, last);
    for (const name of batch.names) {
      if (name === "count" && batch.summary) continue;
      if (name.includes("|")) continue;
      for (let row = batch.rows - 1; row >= 0; row--) {
        const value = batch.value(name, row);
        if (value === null) continue;
        this.put(`${key}/${name}`, { time: batch.time[row]!, ert: batch.ert[row]!, value });
        break;
      }
    }
  }

  /** Takes what the store answered; `parameters` say how to read its two value columns. */
  rows(mission: string, rows: readonly LatestRow[], parameters: readonly Parameter[]): void {
    const byName = new Map(parameters.map((p) => [p.name, p]));
    for (const row of rows) {
      const parameter = byName.get(row.parameter);
      const value = storedValue(row, parameter);
      this.put(`${mission}:${row.parameter}`, { time: row.time, ert: row.ert, value });
    }
  }

  private put(key: string, latest: Latest): void {
    const known = this.values.get(key);
    if (!known || latest.time >= known.time) this.values.set(key, latest);
  }

  get(mission: string, parameter: string): Latest | undefined {
    return this.values.get(`${mission}:${parameter}`);
  }

  /** Age in seconds beyond which a container's values are expired. */
  expiry(mission: string, container: string): number {
    const interval = this.interval.get(`${mission}:${container}`);
    return interval === undefined ? UNKNOWN_S : Math.max(LEAST_S, MISSED * interval);
  }
}

function storedValue(row: LatestRow, parameter: Parameter | undefined): Value {
  if (parameter?.kind === "binary" && row.text !== null) return fromBase64(row.text);
  if (parameter?.kind === "boolean") return row.last === null ? null : row.last !== 0;
  const whole = parameter?.kind === "integer" || parameter?.kind === "time" || parameter?.kind === "enumeration";
  if (whole && row.text !== null && /^-?\d+$/.test(row.text)) return BigInt(row.text);
  return row.last ?? row.text;
}
