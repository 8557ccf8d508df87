/**
 * A mission's own time. Live windows, ages and expiry follow it, never this computer's clock, which only carries the
 * mission clock over the second between two messages.
 */
import { fromSeconds, secondsBetween, type Ns } from "./time";

export interface ClockReport {
  time: Ns;
  rate: number;
}

/** Clock messages come every second; without one for this long (ms) the clock has stopped. */
const SILENCE_MS = 3500;
/** A difference to the running clock up to this (s) is jitter, taken up slowly; above it the clock is set. */
const JITTER_S = 0.8;
/** A difference above this (s) is another beginning of the mission: what was received before lies in another time. */
const RESET_S = 60;

export class MissionTime {
  /** The newest onboard time (SCET) received in real-time data. */
  newest: Ns | null = null;
  /** One-way light time in seconds as the stations report it. */
  lightTime = 0;

  private anchor: Ns | null = null;
  private anchorMs = 0;
  private heardMs = -Infinity;
  /** Mission seconds in a second. */
  rate = 1;
  private confirmed = false;
  private lead = Infinity;

  /** Takes a clock message that arrived at `nowMs` of the page's monotonic clock. */
  hear(report: ClockReport, nowMs: number): void {
    const predicted = this.now(nowMs);
    // The first message may be a retained one of a clock that stopped long ago: it runs from the second one on.
    const first = this.anchor === null;
    const off = predicted === null ? Infinity : secondsBetween(report.time, predicted);
    const jitter = this.confirmed && Math.abs(off) < JITTER_S * Math.max(1, report.rate);
    if (jitter && predicted !== null) {
      this.anchor = predicted + fromSeconds(off * 0.15);
    } else {
      if (!first && Math.abs(off) > RESET_S * Math.max(1, report.rate)) this.forget();
      this.anchor = report.time;
    }
    this.confirmed = !first;
    this.anchorMs = nowMs;
    this.heardMs = nowMs;
    this.rate = report.rate;
  }

  /** Takes the newest SCET that the store had when the page opened. */
  stored(time: Ns): void {
    if (this.newest === null || time > this.newest) this.newest = time;
  }

  /** Takes the newest SCET of a batch that arrived at `nowMs`. */
  received(time: Ns, nowMs: number): void {
    this.stored(time);
    const now = this.now(nowMs);
    if (now !== null && this.running(nowMs)) this.lead = Math.max(0, Math.min(this.lead, secondsBetween(now, time)));
  }

  private forget(): void {
    this.newest = null;
    this.lead = Infinity;
  }

  get hasClock(): boolean {
    return this.anchor !== null;
  }

  /** Whether clock messages are arriving. */
  running(nowMs: number): boolean {
    return this.confirmed && nowMs - this.heardMs < SILENCE_MS;
  }

  /** Whether there was a clock that says nothing any more. */
  stopped(nowMs: number): boolean {
    return this.anchor !== null && nowMs - this.heardMs >= SILENCE_MS;
  }

  /** Mission time on earth: the mission clock, else the newest SCET; null before any of them came. */
  now(nowMs: number): Ns | null {
    if (this.anchor === null) return this.newest;
    if (!this.confirmed) return this.anchor;
    const elapsed = Math.min(nowMs - this.anchorMs, SILENCE_MS);
    return this.anchor + fromSeconds((elapsed / 1000) * this.rate);
  }

  /**
   * The onboard time whose telemetry can be arriving now: mission time less the light time. This is the right edge of
   * live windows and the zero of ages; a Mars cruise would otherwise show minutes of emptiness.
   */
  edge(nowMs: number): Ns | null {
    const now = this.now(nowMs);
    if (now === null || this.anchor === null) return now;
    return now - fromSeconds(Math.min(this.lightTime, this.lead));
  }
}
