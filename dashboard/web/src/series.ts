/**
 * One parameter in one plot: history and the live stream in one block of typed arrays, spliced by recording position.
 *
 * History answers up to a position (`through`); live batches carry the positions [from, to) that they came from, and a
 * container's batches join without a seam. So a batch that ends at or before the known edge is already here, one that
 * begins at it follows on, and one that begins after it says that something is missing: `missing` then asks for history.
 * Several batches may have one range, changes of state sample by sample and the summary of all: they continue it.
 */
import type { Batch, HistoryRows } from "./arrow";
import { secondsBetween, type Ns } from "./time";

/** Live samples beyond which history should be fetched anew, at the plot's resolution. */
export const COMPACT = 8192;
/** Rows that a series holds at most; the oldest go first. */
export const CAPACITY = 32_768;

export class Series {
  /** Rows in use (the arrays are longer), and how many of them came from the store. */
  length = 0;
  history = 0;
  time = new BigInt64Array(1024);
  /** Seconds since `origin`. */
  x = new Float64Array(1024);
  line = new Float64Array(1024);
  low = new Float64Array(1024);
  high = new Float64Array(1024);
  /** Changes with the content, for those who draw it. */
  version = 0;

  private to = new Float64Array(1024);
  private from = new Float64Array(1024);
  private edge: number | null = null;
  /** The position that history reaches. */
  private stored = -1;
  /** The newest live batch: its positions, and the time up to which (inclusive) its samples were here before it. */
  private newest: { from: number; to: number; known: Ns | null } | null = null;
  private needed: number | null = null;

  constructor(
    readonly container: string,
    readonly parameter: string,
    public origin: Ns,
    private readonly capacity = CAPACITY,
  ) {}

  /** The position that history must reach to close a hole; null when there is none. */
  get missing(): number | null {
    return this.needed;
  }

  /** Whether enough live samples have gathered to be worth replacing by buckets. */
  get wantsCompaction(): boolean {
    return this.length - this.history > Math.min(COMPACT, this.capacity / 2);
  }

  /** Replaces all that the answer covers; live samples that it doesn't are kept behind it. */
  load(rows: HistoryRows | undefined, through: number): void {
    const count = rows ? Math.min(rows.time.length, this.capacity) : 0;
    const newest = rows && count ? rows.time[rows.time.length - 1]! : null;
    const keep: number[] = [];
    for (let i = 0; i < this.length; i++) {
      if (this.to[i]! <= through) continue; // so are all rows of an earlier answer, which have no position
      // A batch that the answer covers in part: positions say no more, the order of time does.
      if (this.from[i]! < through && newest !== null && this.time[i]! <= newest) continue;
      keep.push(i);
    }
    const columns = ["time", "line", "low", "high", "from", "to"] as const;
    const kept = columns.map((name) => keep.map((i) => this[name][i]!));
    this.length = this.history = 0;
    this.reserve(count + keep.length);
    if (rows && count) {
      const skip = rows.time.length - count;
      this.time.set(rows.time.subarray(skip));
      this.line.set(rows.line.subarray(skip));
      this.low.set(rows.low.subarray(skip));
      this.high.set(rows.high.subarray(skip));
      this.from.fill(0, 0, count);
      this.to.fill(0, 0, count);
    }
    columns.forEach((name, c) => (this[name] as { set(v: ArrayLike<unknown>, at: number): void }).set(kept[c]!, count));
    this.history = count;
    this.length = count + keep.length;
    this.rebase(this.origin);
    this.edge = Math.max(through, this.edge ?? 0);
    this.stored = through;
    if (this.newest && this.newest.from < through) this.newest.known = newest;
    if (this.needed !== null && through >= this.needed) this.needed = null;
    this.order(count);
    this.version++;
  }

  /** Takes the batch's samples that aren't here yet. */
  append(batch: Batch): void {
    const range = this.range(batch);
    if (!range) return;
    const line = batch.numbers(this.parameter);
    if (!line) return;
    const low = (batch.summary && batch.numbers(`${this.parameter}|min`)) || line;
    const high = (batch.summary && batch.numbers(`${this.parameter}|max`)) || line;
    const { from, to, known, continued } = range;
    const first = this.length;
    const same = continued ? this.samplesOf(from, to) : null;
    for (let row = 0; row < batch.rows; row++) {
      if (Number.isNaN(line[row])) continue;
      const time = batch.time[row]!;
      if (known !== null && time <= known) continue;
      if (same?.has(sample(time, line[row]!, low[row]!, high[row]!))) continue;
      this.push(time, line[row]!, low[row]!, high[row]!, from, to);
    }
    if (this.length !== first) this.version++;
    this.order(first);
  }

  /** The range that a batch belongs to, made the newest; null where its samples are here. */
  private range({ from, to }: Batch): { from: number; to: number; known: Ns | null; continued: boolean } | null {
    const { edge, newest } = this;
    if (edge !== null && to <= edge) {
      // An empty range at the edge is a summary, too: of an older server, behind the changes of state.
      const continued = newest?.to === to && (newest.from === from || from === to);
      return continued && this.stored < to ? { ...newest, continued } : null;
    }
    if (edge === null || from > edge) this.needed = from;
    const partly = edge !== null && from < edge;
    const known = partly && this.length ? this.time[this.length - 1]! : null;
    this.edge = to;
    this.newest = { from, to, known };
    return { from, to, known, continued: false };
  }

  /** What is here of a range: it may be delivered again. */
  private samplesOf(from: number, to: number): Set<string> {
    const found = new Set<string>();
    for (let i = this.history; i < this.length; i++)
      if (this.from[i] === from && this.to[i] === to)
        found.add(sample(this.time[i]!, this.line[i]!, this.low[i]!, this.high[i]!));
    return found;
  }

  /** Counts x from another origin; windows stay within days of it, so that a float64 resolves nanoseconds. */
  rebase(origin: Ns): void {
    this.origin = origin;
    for (let i = 0; i < this.length; i++) this.x[i] = secondsBetween(this.time[i]!, origin);
    this.version++;
  }

  /** The row whose sample is in force at `x`: the last one at or before it; -1 before the first. */
  at(x: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.x[middle]! <= x) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  private push(time: Ns, line: number, low: number, high: number, from: number, to: number): void {
    if (this.length === this.capacity) this.drop(this.capacity >>> 2);
    this.reserve(this.length + 1);
    const i = this.length++;
    this.time[i] = time;
    this.x[i] = secondsBetween(time, this.origin);
    this.line[i] = line;
    this.low[i] = low;
    this.high[i] = high;
    this.from[i] = from;
    this.to[i] = to;
  }

  private drop(count: number): void {
    for (const column of this.columns()) column.copyWithin(0, count, this.length);
    this.length -= count;
    this.history = Math.max(0, this.history - count);
  }

  private reserve(length: number): void {
    if (length <= this.x.length) return;
    const size = 2 ** Math.ceil(Math.log2(length));
    const grow = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const grown = new Float64Array(size);
      grown.set(old.subarray(0, this.length));
      return grown;
    };
    const time = new BigInt64Array(size);
    time.set(this.time.subarray(0, this.length));
    this.time = time;
    this.x = grow(this.x);
    this.line = grow(this.line);
    this.low = grow(this.low);
    this.high = grow(this.high);
    this.from = grow(this.from);
    this.to = grow(this.to);
  }

  /** Sorts by time where rows from `first` on came out of order, which is rare: a second station, a playback. */
  private order(first: number): void {
    let sorted = true;
    for (let i = Math.max(1, first); i < this.length && sorted; i++) sorted = this.time[i - 1]! <= this.time[i]!;
    if (sorted) return;
    const rows = Array.from({ length: this.length }, (_, i) => i);
    rows.sort((a, b) => (this.time[a]! < this.time[b]! ? -1 : this.time[a]! > this.time[b]! ? 1 : a - b));
    for (const column of this.columns()) {
      const copy = column.slice(0, this.length);
      rows.forEach((row, i) => (column[i] = copy[row]!));
    }
  }

  private columns(): (BigInt64Array | Float64Array)[] {
    return [this.time, this.x, this.line, this.low, this.high, this.from, this.to];
  }
}

const sample = (...what: [time: Ns, line: number, low: number, high: number]): string => what.join();
