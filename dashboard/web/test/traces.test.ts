import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Batch, History } from "../src/arrow";
import { Traces } from "../src/traces";

const S = 1_000_000_000n;
const WINDOW = [0n, 100n * S] as const;

function answer(through: number, ...seconds: number[]): History {
  const line = Float64Array.from(seconds);
  const time = BigInt64Array.from(seconds, (s) => BigInt(s) * S);
  return { through, width: S, rollup: 0n, parameters: new Map([["C/v", { time, line, low: line, high: line }]]) };
}

function batch(from: number, to: number, second: number): Batch {
  const time = BigInt64Array.of(BigInt(second) * S);
  const numbers = (): Float64Array => Float64Array.of(second);
  return {
    mission: "m",
    container: "C",
    summary: false,
    from,
    to,
    rows: 1,
    time,
    ert: time,
    seq: numbers(),
    names: ["v"],
    value: () => second,
    numbers,
  };
}

/** A store whose answers come when the test says so. */
function store() {
  const asked: {
    start: bigint;
    stop: bigint;
    buckets: number;
    signal: AbortSignal;
    resolve: (h: History) => void;
    reject: (e: Error) => void;
  }[] = [];
  const fetch = vi.fn(
    (_m: string, _p: readonly string[], w: { start: bigint; stop: bigint; buckets: number }, signal: AbortSignal) =>
      new Promise<History>((resolve, reject) => asked.push({ ...w, signal, resolve, reject })),
  );
  return { asked, traces: new Traces("m", ["C/v"], 0n, fetch) };
}

const settle = async (): Promise<void> => {
  await vi.advanceTimersByTimeAsync(0);
};

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance", "setTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("traces ask the store", () => {
  test("once for a window that then serves", async () => {
    const { asked, traces } = store();
    for (let i = 0; i < 5; i++) traces.ensure(WINDOW, 500, false, performance.now());
    expect(asked.length).toBe(1);
    asked[0]!.resolve(answer(3, 10, 20));
    await settle();
    expect(traces.series[0]!.length).toBe(2);
    traces.ensure([10n * S, 110n * S], 500, false, performance.now());
    await vi.advanceTimersByTimeAsync(1000);
    traces.ensure([10n * S, 110n * S], 500, false, performance.now());
    expect(asked.length).toBe(1);
  });

  test("again, once the zoom stands still, at the new resolution", async () => {
    const { asked, traces } = store();
    traces.ensure(WINDOW, 500, false, performance.now());
    asked[0]!.resolve(answer(3, 10));
    await settle();
    for (const end of [20n, 15n, 10n]) {
      traces.ensure([0n, end * S], 500, false, performance.now());
      await vi.advanceTimersByTimeAsync(50);
    }
    expect(asked.length).toBe(1);
    await vi.advanceTimersByTimeAsync(100);
    traces.ensure([0n, 10n * S], 500, false, performance.now());
    expect(asked.length).toBe(2);
    expect(Number(asked[1]!.stop - asked[1]!.start) / asked[1]!.buckets).toBeCloseTo(1e10 / 500);
  });

  test("and forget an answer that nobody waits for any more", async () => {
    const { asked, traces } = store();
    traces.ensure(WINDOW, 500, false, performance.now());
    traces.ensure([0n, 5n * S], 500, false, performance.now());
    expect(asked[0]!.signal.aborted).toBe(true);
    asked[0]!.resolve(answer(3, 10, 20));
    await settle();
    expect(traces.series[0]!.length).toBe(0);
  });

  test("until a hole in the stream is closed", async () => {
    const { asked, traces } = store();
    traces.ensure(WINDOW, 500, true, performance.now());
    asked[0]!.resolve(answer(1, 10));
    await settle();
    traces.batch(batch(3, 4, 40));
    traces.ensure(WINDOW, 500, true, performance.now());
    asked[1]!.resolve(answer(2, 10, 20));
    await settle();
    traces.ensure(WINDOW, 500, true, performance.now());
    expect(asked.length).toBe(2);
    await vi.advanceTimersByTimeAsync(400);
    traces.ensure(WINDOW, 500, true, performance.now());
    asked[2]!.resolve(answer(3, 10, 20, 30));
    await settle();
    expect(Array.from(traces.series[0]!.x.subarray(0, 4))).toEqual([10, 20, 30, 40]);
    await vi.advanceTimersByTimeAsync(60_000);
    traces.ensure(WINDOW, 500, true, performance.now());
    expect(asked.length).toBe(3);
  });

  test("again after a failure, with patience, and say why meanwhile", async () => {
    const { asked, traces } = store();
    traces.ensure(WINDOW, 500, true, performance.now());
    asked[0]!.reject(new Error("answered 503"));
    await settle();
    expect(traces.failure).toBe("answered 503");
    traces.ensure(WINDOW, 500, true, performance.now());
    expect(asked.length).toBe(1);
    await vi.advanceTimersByTimeAsync(400);
    traces.ensure(WINDOW, 500, true, performance.now());
    asked[1]!.resolve(answer(1, 10));
    await settle();
    expect(traces.failure).toBeNull();
  });

  test("after a reconnect", async () => {
    const { asked, traces } = store();
    traces.ensure(WINDOW, 500, true, performance.now());
    asked[0]!.resolve(answer(1, 10));
    await settle();
    traces.refresh();
    traces.ensure(WINDOW, 500, true, performance.now());
    expect(asked.length).toBe(2);
  });
});
