/**
 * The newest value of every parameter that this page has heard of, exactly as it came. The newest is what came last in
 * real time, not what has the latest onboard time: an onboard clock may be set back, and playback is the past.
 */
import { fromBase64, type Batch, type LatestRow, type Value } from "./arrow";
import { limitState, type State } from "./limits";
import type { AlarmReport, Parameter } from "./model";
import { fromSeconds, secondsBetween, type Ns } from "./time";

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
      // Rises fast and falls slowly: a burst must not make the next pause look like silence, nor a silence like rhythm.
      this.interval.set(key, old === undefined ? step : Math.max(Math.min(step, 2 * old), old * 0.9));
    }
    this.newest.set(key, last);
    for (const name of batch.names) {
      if (name.includes("|")) continue;
      for (let row = batch.rows - 1; row >= 0; row--) {
        const value = batch.value(name, row);
        if (value === null) continue;
        this.values.set(`${key}/${name}`, { time: batch.time[row]!, ert: batch.ert[row]!, value });
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

  /** Takes the value that crossed a limit: of a container that nobody watches it is all that comes. */
  alarm(mission: string, { parameter, time, value }: AlarmReport, lightTime: number): void {
    if (value === null) return;
    const scet = BigInt(time);
    this.put(`${mission}:${parameter}`, { time: scet, ert: scet + fromSeconds(lightTime), value });
  }

  private put(key: string, latest: Latest): void {
    const known = this.values.get(key);
    if (!known || latest.ert >= known.ert) this.values.set(key, latest);
  }

  /** How the parameter's newest value stands to its limits; null where nothing is known or said about it. */
  state(mission: string, parameter: Parameter): State | null {
    const value = this.get(mission, parameter.name)?.value ?? null;
    const numeric = typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : null;
    return limitState(numeric, parameter.limits);
  }

  get(mission: string, parameter: string): Latest | undefined {
    return this.values.get(`${mission}:${parameter}`);
  }

  /**
   * Whether a newer value was due by `edge`, the onboard time whose telemetry can be arriving now. `rate`: of the
   * mission's clock; the way here takes its time whatever that is.
   */
  expired(mission: string, parameter: Parameter, edge: Ns | null, rate: number): boolean {
    const known = this.get(mission, parameter.name);
    if (!known || edge === null) return false;
    return secondsBetween(edge, known.time) > this.expiry(mission, parameter.container, rate);
  }

  /** Age in seconds beyond which a container's values are expired. */
  expiry(mission: string, container: string, rate = 1): number {
    const interval = this.interval.get(`${mission}:${container}`);
    const slower = Math.max(1, rate);
    return interval === undefined ? UNKNOWN_S * slower : Math.max(LEAST_S * slower, MISSED * interval);
  }
}

function storedValue(row: LatestRow, parameter: Parameter | undefined): Value {
  if (parameter?.kind === "binary" && row.text !== null) return fromBase64(row.text);
  if (parameter?.kind === "boolean") return row.last === null ? null : row.last !== 0;
  const whole = parameter?.kind === "integer" || parameter?.kind === "time" || parameter?.kind === "enumeration";
  if (whole && row.text !== null && /^-?\d+$/.test(row.text)) return BigInt(row.text);
  return row.last ?? row.text;
}
