import { describe, expect, test } from "vitest";
import type { Batch, HistoryRows } from "../src/arrow";
import { Series } from "../src/series";

const S = 1_000_000_000n;

function rows(seconds: number[], value: (s: number) => number = (s) => s): HistoryRows {
  const line = Float64Array.from(seconds, value);
  return { time: BigInt64Array.from(seconds, (s) => BigInt(s) * S), line, low: line, high: line };
}

function batch(from: number, to: number, seconds: number[], more: Record<string, number[]> = {}): Batch {
  const columns: Record<string, number[]> = { v: seconds, ...more };
  return {
    mission: "m",
    container: "C",
    summary: "v|min" in more,
    from,
    to,
    rows: seconds.length,
    time: BigInt64Array.from(seconds, (s) => BigInt(s) * S),
    ert: BigInt64Array.from(seconds, (s) => BigInt(s) * S),
    seq: Float64Array.from(seconds),
    names: Object.keys(columns),
    value: (name, row) => columns[name]?.[row] ?? null,
    numbers: (name) => (columns[name] ? Float64Array.from(columns[name]) : null),
  };
}

const seconds = (series: Series): number[] => Array.from(series.time.subarray(0, series.length), (t) => Number(t / S));

describe("splicing history and live", () => {
  test("batches before `through` are in the answer, those after it follow", () => {
    const series = new Series("C", "v", 0n);
    series.append(batch(10, 11, [10]));
    series.append(batch(11, 12, [11]));
    series.append(batch(12, 13, [12]));
    series.load(rows([8, 9, 10, 11]), 12);
    series.append(batch(13, 14, [13]));
    expect(seconds(series)).toEqual([8, 9, 10, 11, 12, 13]);
    expect(series.missing).toBeNull();
  });

  test("a batch that is delivered again, or that history has, changes nothing", () => {
    const series = new Series("C", "v", 0n);
    series.load(rows([1, 2]), 5);
    series.append(batch(3, 5, [1, 2]));
    series.append(batch(5, 6, [3]));
    series.append(batch(5, 6, [3]));
    expect(seconds(series)).toEqual([1, 2, 3]);
  });

  test("a jump in `from` asks for history until an answer reaches it", () => {
    const series = new Series("C", "v", 0n);
    series.load(rows([1]), 1);
    series.append(batch(1, 2, [2]));
    series.append(batch(4, 5, [5]));
    expect(series.missing).toBe(4);
    series.load(rows([1, 2, 3]), 3);
    expect(series.missing).toBe(4);
    expect(seconds(series)).toEqual([1, 2, 3, 5]);
    series.load(rows([1, 2, 3, 4]), 4);
    expect(series.missing).toBeNull();
    expect(seconds(series)).toEqual([1, 2, 3, 4, 5]);
  });

  test("live data before the first answer leaves a hole unless the answer reaches it", () => {
    const series = new Series("C", "v", 0n);
    series.append(batch(7, 8, [8]));
    series.load(rows([1, 2]), 3);
    expect(series.missing).toBe(7);
    series.load(rows([1, 2, 3, 4, 5, 6, 7]), 7);
    expect(series.missing).toBeNull();
    expect(seconds(series)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("an answer that ends inside a batch doesn't double its samples, nor lose them", () => {
    const series = new Series("C", "v", 0n);
    series.append(batch(0, 4, [1, 2, 3, 4]));
    series.load(rows([1, 2]), 2);
    expect(seconds(series)).toEqual([1, 2, 3, 4]);
    const other = new Series("C", "v", 0n);
    other.load(rows([1, 2]), 2);
    other.append(batch(0, 4, [1, 2, 3, 4]));
    expect(seconds(other)).toEqual([1, 2, 3, 4]);
  });

  describe("of several batches with one range", () => {
    const summary = { v: [3], "v|min": [1], "v|max": [5] };

    test.each([
      ["of the same positions", 0],
      ["of none, as older servers send it", 5],
    ])("a summary %s continues the changes of state before it", (_, from) => {
      const series = new Series("C", "v", 0n);
      series.load(undefined, 0);
      series.append(batch(0, 5, [1, 2]));
      series.append(batch(from, 5, [3], summary));
      series.append(batch(from, 5, [3], summary)); // delivered again
      expect(seconds(series)).toEqual([1, 2, 3]);
      expect(series.high[2]).toBe(5);
      series.append(batch(5, 6, [6]));
      expect(seconds(series)).toEqual([1, 2, 3, 6]);
      expect(series.missing).toBeNull();
    });

    test.each([0, 5])("a summary (%d, 5) is left out where history has it", (from) => {
      const series = new Series("C", "v", 0n);
      series.append(batch(0, 5, [1, 2]));
      series.load(rows([1, 2, 3]), 5);
      series.append(batch(from, 5, [3], summary));
      expect(seconds(series)).toEqual([1, 2, 3]);
    });

    test("each is cut where history ends inside of them", () => {
      const series = new Series("C", "v", 0n);
      series.load(rows([1, 2]), 2);
      series.append(batch(0, 5, [1, 2, 4]));
      series.append(batch(0, 5, [2, 3], { v: [2, 3], "v|min": [2, 3], "v|max": [2, 3] }));
      expect(seconds(series)).toEqual([1, 2, 3, 4]);
      const other = new Series("C", "v", 0n);
      other.append(batch(0, 5, [1, 2, 4]));
      other.load(rows([1, 2]), 2);
      other.append(batch(0, 5, [2, 3], { v: [2, 3], "v|min": [2, 3], "v|max": [2, 3] }));
      expect(seconds(other)).toEqual([1, 2, 3, 4]);
    });

    test("an older range doesn't come back", () => {
      const series = new Series("C", "v", 0n);
      series.append(batch(0, 5, [1]));
      series.append(batch(5, 6, [6]));
      series.append(batch(0, 5, [2]));
      series.append(batch(5, 5, [3]));
      expect(seconds(series)).toEqual([1, 6]);
    });
  });

  test("an answer replaces the one before it", () => {
    const series = new Series("C", "v", 0n);
    series.load(rows([1, 2, 3]), 3);
    series.load(
      rows([2, 3], (s) => s * 10),
      3,
    );
    expect(seconds(series)).toEqual([2, 3]);
    expect(Array.from(series.line.subarray(0, 2))).toEqual([20, 30]);
    series.load(undefined, 3);
    expect(series.length).toBe(0);
  });
});

describe("content", () => {
  test("samples without a value are left out, and text has no line", () => {
    const series = new Series("C", "v", 0n);
    series.append(batch(0, 1, [1, 2, 3], { v: [1, NaN, 3] }));
    expect(seconds(series)).toEqual([1, 3]);
    const text = new Series("C", "unknown", 0n);
    text.append(batch(0, 1, [1]));
    expect(text.length).toBe(0);
  });

  test("a summary brings its band", () => {
    const series = new Series("C", "v", 0n);
    series.append(batch(0, 1, [5], { v: [2], "v|min": [1], "v|max": [9] }));
    expect([series.low[0], series.line[0], series.high[0]]).toEqual([1, 2, 9]);
  });

  test("late samples are put in their place", () => {
    const series = new Series("C", "v", 0n);
    series.load(rows([1, 4]), 4);
    series.append(batch(4, 5, [6]));
    series.append(batch(5, 6, [2, 5]));
    expect(seconds(series)).toEqual([1, 2, 4, 5, 6]);
    expect(Array.from(series.x.subarray(0, 5))).toEqual([1, 2, 4, 5, 6]);
  });

  test("it is bounded, and the newest stay", () => {
    const series = new Series("C", "v", 0n, 16);
    for (let i = 0; i < 100; i++) series.append(batch(i, i + 1, [i]));
    expect(series.length).toBeLessThanOrEqual(16);
    expect(seconds(series).at(-1)).toBe(99);
    expect(series.wantsCompaction).toBe(true);
  });

  test("a new origin keeps nanoseconds apart", () => {
    const origin = 1_836_635_022_000_000_000n;
    const series = new Series("C", "v", 0n);
    const two = batch(0, 1, [0, 0]);
    two.time = BigInt64Array.of(origin + 1n, origin + 2n);
    series.append(two);
    series.rebase(origin);
    expect(Array.from(series.x.subarray(0, 2))).toEqual([1e-9, 2e-9]);
    expect(series.at(1.5e-9)).toBe(0);
    expect(series.at(0)).toBe(-1);
  });
});
