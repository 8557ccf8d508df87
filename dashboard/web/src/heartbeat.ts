/**
 * Whether the server is still heard. It sends a heartbeat every second with its own time; a page that hears nothing at
 * all for three of them has no connection, whatever its socket says: half-open ones stay open for minutes.
 */
import { fromSeconds, secondsBetween, type Ns } from "./time";

/** Without any message for this long (ms) the connection counts as lost. */
export const SILENCE_MS = 3000;

/** All instants named `nowMs` are of the page's monotonic clock. */
export class Heartbeat {
  /** When the last message of any kind came; null before the first. */
  heardMs: number | null = null;

  private time: Ns | null = null;
  private beatMs = 0;

  /** Takes any message. */
  hear(nowMs: number): void {
    this.heardMs = nowMs;
  }

  /** Takes a heartbeat: the server's time, ns since 1970 UTC. */
  beat(time: Ns, nowMs: number): void {
    this.time = time;
    this.beatMs = nowMs;
  }

  /** The server's time; null for a server that has never sent a heartbeat, whose silence means nothing. */
  now(nowMs: number): Ns | null {
    return this.time === null ? null : this.time + fromSeconds((nowMs - this.beatMs) / 1000);
  }

  /** The server's time when it was last heard; null where its silence means nothing. */
  get since(): Ns | null {
    return this.heardMs === null ? null : this.now(this.heardMs);
  }

  /** Seconds by the server's clock since it was last heard; 0 where its silence means nothing. */
  silence(nowMs: number): number {
    const [now, since] = [this.now(nowMs), this.since];
    return now === null || since === null ? 0 : secondsBetween(now, since);
  }
}
