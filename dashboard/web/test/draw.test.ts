import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { axisRange, extent, runs, trace, valueStep, visibleRows } from "../src/draw";
import { longestStep } from "../src/gaps";
import { Series } from "../src/series";

const S = 1_000_000_000n;

function series(...seconds: number[]): Series {
  const made = new Series("C", "v", 0n);
  const line = Float64Array.from(seconds);
  made.load(
    {
      time: BigInt64Array.from(seconds, (s) => BigInt(Math.round(s * 1000)) * (S / 1000n)),
      line,
      low: line.map((v) => v - 1),
      high: line.map((v) => v + 1),
    },
    1,
  );
  return made;
}

describe("gaps", () => {
  test("are silences much longer than the rhythm", () => {
    const s = series(0, 1, 2, 3, 10, 11, 12, 13);
    expect(runs(s, 0, s.length)).toEqual([
      [0, 4],
      [4, 8],
    ]);
  });

  test("are not seen in jitter, nor in two samples", () => {
    const s = series(0, 1.1, 1.9, 3.4, 4, 5);
    expect(runs(s, 0, s.length)).toEqual([[0, 6]]);
    expect(runs(series(0, 100), 0, 2)).toEqual([[0, 2]]);
  });

  test("are judged by the longer steps where samples come in bursts", () => {
    const bursts = Array.from({ length: 60 }, (_, i) => Math.floor(i / 4) * 10 + (i % 4) * 0.01);
    const s = series(...bursts);
    expect(runs(s, 0, s.length)).toEqual([[0, 60]]);
  });

  test("split what is in view only", () => {
    const s = series(0, 1, 2, 3, 10, 11, 12, 13);
    expect(runs(s, 5, 8)).toEqual([[5, 8]]);
    expect(runs(s, 3, 3)).toEqual([]);
  });

  test("need a rhythm", () => expect(longestStep(Float64Array.of(1, 2, 3), 0, 3)).toBe(Infinity));
});

test("rows in view take one more on each side", () => {
  const s = series(0, 1, 2, 3, 4);
  expect(visibleRows(s, { min: 1.5, max: 2.5 })).toEqual([1, 4]);
  expect(visibleRows(s, { min: -9, max: 99 })).toEqual([0, 5]);
});

test("the extent has the band in it", () => {
  const s = series(0, 1, 2, 3, 4);
  expect(extent(s, { min: 2, max: 3 })).toEqual({ min: 1, max: 5 });
  expect(extent(series(), { min: 0, max: 1 })).toBeNull();
});

describe("infinities", () => {
  function holding(values: number[], low = values, high = values): Series {
    const made = new Series("C", "v", 0n);
    const time = BigInt64Array.from(values, (_, i) => BigInt(i) * S);
    const [line, least, greatest] = [values, low, high].map((column) => Float64Array.from(column));
    made.load({ time, line: line!, low: least!, high: greatest! }, 1);
    return made;
  }
  const values = [1, 2, Infinity, 4, -Infinity, NaN, 7];
  const x = { min: 0, max: 10 };

  test("and NaN are no part of the scale", () => {
    expect(extent(holding(values), x)).toEqual({ min: 1, max: 7 });
    expect(extent(holding([3, 3], [3, -Infinity], [Infinity, 5]), x)).toEqual({ min: 3, max: 5 });
    expect(extent(holding([Infinity], [1]), x)).toEqual({ min: 1, max: 1 });
    expect(extent(holding([Infinity, NaN]), x)).toBeNull();
  });

  test("are gaps in the line", () => {
    expect(runs(holding(values), 0, 7)).toEqual([
      [0, 2],
      [3, 4],
      [6, 7],
    ]);
    expect(runs(holding([Infinity, NaN]), 0, 2)).toEqual([]);
  });

  /** Where lines go. */
  class Path {
    points: [number, number][] = [];
    moveTo(...at: [number, number]): void {
      this.points.push(at);
    }
    lineTo(...at: [number, number]): void {
      this.points.push(at);
    }
    arc(): void {}
    closePath(): void {}
  }
  beforeEach(() => void vi.stubGlobal("Path2D", Path));
  afterEach(() => void vi.unstubAllGlobals());

  test("are signed at the edge that they lie beyond, and all else is drawn", () => {
    const box = { left: 0, top: 0, width: 100, height: 50 };
    const draw = (series: Series): [number, number][] =>
      (trace(series, x, { min: 0, max: 10 }, box, false, 1).stroke as unknown as Path).points;
    const points = draw(holding(values));
    expect(points.flat().every(Number.isFinite)).toBe(true);
    expect(points).toContainEqual([20, 1]);
    expect(points).toContainEqual([40, 49]);
    expect(points).toContainEqual([10, 40]);
    expect(draw(holding([3], [3], [Infinity]))).toContainEqual([0, 1]); // a bucket with one in it
  });
});

describe("a value axis", () => {
  test("moves in whole steps", () => {
    expect(axisRange({ min: 28.2, max: 30.1 })).toEqual(axisRange({ min: 28.21, max: 30.11 }));
  });

  test("has room around a constant and around nothing", () => {
    const { min, max } = axisRange({ min: 5, max: 5 });
    expect(min < 5 && max > 5).toBe(true);
    expect(axisRange({ min: 0, max: 0 }).max).toBeGreaterThan(0);
    expect(axisRange(null)).toEqual({ min: 0, max: 1 });
  });

  test("steps by 1, 2, 5", () =>
    expect([0.7, 1.3, 3, 8].map((span) => valueStep(span * 10, 10))).toEqual([1, 2, 5, 10]));
});
