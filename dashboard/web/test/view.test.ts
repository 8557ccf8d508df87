import { describe, expect, test } from "vitest";
import { fix, pan, request, windowOf, zoom, type Range } from "../src/conductor";
import { readHash, writeHash, type View } from "../src/hash";

const S = 1_000_000_000n;

describe("the time conductor", () => {
  test("follows the edge while live", () => {
    expect(windowOf({ kind: "live", span: 60 }, "a", 100n * S)).toEqual([40n * S, 100n * S]);
  });

  test("fixes all missions at the same distance from their own edges", () => {
    const range = fix([80n * S, 90n * S], "a", { a: 100n * S, b: 1000n * S });
    expect(windowOf(range, "a", 500n * S)).toEqual([80n * S, 90n * S]);
    expect(windowOf(range, "b", 5000n * S)).toEqual([980n * S, 990n * S]);
    expect(range.span).toBe(10);
  });

  test("zooms around an instant that stays where it is", () => {
    expect(zoom([0n, 100n * S], 0.5, 0.25)).toEqual([(125n * S) / 10n, (625n * S) / 10n]);
    expect(zoom([0n, 100n * S], 2, 1)).toEqual([-100n * S, 100n * S]);
  });

  test("has a shortest window", () => {
    const range = fix([5n, 5n], "a", {}) as Extract<Range, { kind: "fixed" }>;
    const [start, stop] = range.windows["a"]!;
    expect(stop - start).toBe(1000n);
  });

  test("pans by a share of the window", () => expect(pan([0n, 100n], 0.5)).toEqual([50n, 150n]));

  test("asks for one bucket a pixel, with a margin", () => {
    const { start, stop, buckets } = request([0n, 1000n * S], 500, false);
    expect(start < 0n && stop > 1000n * S).toBe(true);
    expect(Number(stop - start) / buckets).toBeCloseTo(2e9);
    expect(request([0n, 1n], 1e6, true).buckets).toBe(8000);
  });
});

describe("the address", () => {
  const view: View = {
    mission: "luna26",
    values: "Power",
    range: { kind: "live", span: 300 },
    plots: [
      { mission: "luna26", parameters: ["Power/battery_voltage", "Power/soc"] },
      { mission: "stereo-a", parameters: ["Packet_40/raw"] },
    ],
  };

  test("reproduces a live view", () => expect(readHash(writeHash(view))).toEqual(view));

  test("reproduces a fixed range to the nanosecond", () => {
    const window = [1_836_635_022_123_456_789n, 1_836_635_023_000_000_001n] as const;
    const fixed: View = {
      ...view,
      range: {
        kind: "fixed",
        span: Number(window[1] - window[0]) / 1e9,
        windows: { luna26: window, "stereo-a": [1n, 2n] },
      },
    };
    const read = readHash(writeHash(fixed))!;
    expect(read.range?.kind === "fixed" && read.range.windows["luna26"]).toEqual(window);
  });

  test.each([
    ["at the zero of time", "luna26", [0n, 60n * S]],
    ["that ends there", "luna26", [-60n * S, 0n]],
    ["of a mission with a dot", "luna26.test", [1n, 2n]],
    ["of a mission with a blank", "luna 26", [1n, 2n]],
    ["of a mission with all that separates", "a:b;c/d,e=f&g%h#", [1n, 2n]],
  ] as const)("reproduces a fixed range %s", (_, mission, window) => {
    const range = { kind: "fixed", span: Number(window[1] - window[0]) / 1e9, windows: { [mission]: window } } as const;
    const fixed: View = { mission, values: "P q", range, plots: [{ mission, parameters: ["P q/a,b", "P q/c:d;e"] }] };
    expect(writeHash(fixed)).toMatch(/^#[^ #]*$/);
    expect(readHash(writeHash(fixed))).toEqual(fixed);
  });

  test("survives programs that encode the marks in a link", () => {
    const hash = "#range=m%3A1970-01-01T00%3A00%3A00Z%2F1970-01-01T00%3A01%3A00Z&plot=m%3AC%2Fa%2CC%2Fb";
    expect(readHash(hash)).toMatchObject({
      range: { windows: { m: [0n, 60n * S] } },
      plots: [{ mission: "m", parameters: ["C/a", "C/b"] }],
    });
  });

  test("leaves out what it can't read", () => {
    expect(readHash("")).toBeNull();
    expect(readHash("#range=x&plot=nothing&plot=%E0%A4%A&mission=a&other=1")).toEqual({
      mission: "a",
      values: null,
      range: null,
      plots: [],
    });
    expect(readHash("#range=luna26:2028-01-02T00:00:00Z/2028-01-01T00:00:00Z")!.range).toBeNull();
    expect(readHash("#range=1e99")!.range).toBeNull();
  });
});
