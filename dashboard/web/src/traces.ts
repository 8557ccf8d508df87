/** The series of one plot, and when to ask the store for them: at the plot's resolution, around its window. */
import { fetchHistory } from "./api";
import type { Batch, History } from "./arrow";
import { request, type Window } from "./conductor";
import { Series } from "./series";
import type { Ns } from "./time";

/** Time (ms) that a window must stand still before it is fetched: the wheel turns faster than the store answers. */
const SETTLE_MS = 120;
const RETRY_MS = [300, 600, 1200, 2500, 5000];
/** Resolution may be this much coarser or finer than ideal before history is fetched anew. */
const COARSER = 1.6;
const FINER = 3;

type Fetch = typeof fetchHistory;

interface Asked {
  start: Ns;
  stop: Ns;
  /** ns per bucket */
  bucket: number;
}

export class Traces {
  readonly series: Series[];
  /** Why the newest request failed; null when it didn't. */
  failure: string | null = null;
  loading = false;
  /** Length in ns of the roll-ups that the history was made from in part; 0 where it was every sample. */
  rollup = 0n;

  private asked: Asked | null = null;
  private abort: AbortController | null = null;
  private failures = 0;
  private notBeforeMs = 0;
  private view = "";
  private stale = false;

  constructor(
    readonly mission: string,
    readonly parameters: readonly string[],
    origin: Ns,
    private readonly fetch: Fetch = fetchHistory,
  ) {
    this.series = parameters.map((name) => {
      const cut = name.indexOf("/");
      return new Series(name.slice(0, cut), name.slice(cut + 1), origin);
    });
  }

  batch(batch: Batch): void {
    if (batch.mission !== this.mission) return;
    for (const series of this.series) if (series.container === batch.container) series.append(batch);
  }

  /** After a reconnect: a container that is slow to speak would show its hole late. */
  refresh(): void {
    this.stale = true;
  }

  get version(): number {
    return this.series.reduce((sum, series) => sum + series.version, 0);
  }

  /** Called with each frame; asks the store when what is here doesn't serve the window. */
  ensure(window: Window, pixels: number, live: boolean, nowMs: number): void {
    const view = live ? `${Number(window[1] - window[0])}` : `${window[0]}/${window[1]}`;
    const serves = this.serves(window, pixels, live);
    if (view !== this.view) {
      const first = this.view === "";
      this.view = view;
      if (!serves) {
        this.abort?.abort();
        this.abort = null;
        this.notBeforeMs = first ? 0 : nowMs + SETTLE_MS;
      }
    }
    const wanting = this.stale || this.series.some((s) => s.missing !== null || s.wantsCompaction);
    if ((serves && !wanting) || this.abort || nowMs < this.notBeforeMs) return;
    void this.ask(window, pixels, live);
  }

  private serves(window: Window, pixels: number, live: boolean): boolean {
    const asked = this.asked;
    if (!asked || window[0] < asked.start || (!live && window[1] > asked.stop)) return false;
    const ratio = asked.bucket / (Number(window[1] - window[0]) / Math.max(1, pixels));
    return ratio < COARSER && ratio > 1 / FINER;
  }

  private async ask(window: Window, pixels: number, live: boolean): Promise<void> {
    const abort = new AbortController();
    const wanted = request(window, pixels, live);
    this.abort = abort;
    this.loading = true;
    this.stale = false;
    try {
      const answer = await this.fetch(this.mission, this.parameters, wanted, abort.signal);
      if (abort.signal.aborted) return;
      this.load(answer);
      this.asked = {
        start: wanted.start,
        stop: wanted.stop,
        bucket: Number(wanted.stop - wanted.start) / wanted.buckets,
      };
      this.failure = null;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.failure = error instanceof Error ? error.message : String(error);
    } finally {
      if (this.abort === abort) {
        this.abort = null;
        this.loading = false;
      }
    }
    const again = this.failure !== null || this.series.some((s) => s.missing !== null);
    this.failures = again ? this.failures + 1 : 0;
    // Compaction may not be asked for more often than it can help: the store trails the stream a little.
    const wait = again ? RETRY_MS[Math.min(this.failures - 1, RETRY_MS.length - 1)]! : 2000;
    this.notBeforeMs = again || this.series.some((s) => s.wantsCompaction) ? performance.now() + wait : 0;
  }

  private load(answer: History): void {
    this.rollup = answer.rollup;
    this.series.forEach((series, i) => series.load(answer.parameters.get(this.parameters[i]!), answer.through));
  }

  close(): void {
    this.abort?.abort();
  }
}
