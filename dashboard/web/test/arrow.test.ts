import * as arrow from "@uwdata/flechette";
import { describe, expect, test } from "vitest";
import { readBatch, readHistory, readLatest } from "../src/arrow";
import { messages, table, times } from "./stream";

const T = 1_836_635_022_123_456_789n;

const about = { mission: "m", container: "C", summary: false, from: 3, to: 4 };

describe("a live batch", () => {
  const [schema, body] = messages(
    table({
      time: times(T, T + 1n),
      ert: times(T + 5n, T + 6n),
      seq: arrow.columnFromArray([7, 8], arrow.uint16()),
      volts: arrow.columnFromArray([1.5, null], arrow.float64()),
      count: arrow.columnFromArray([2n ** 53n + 1n, 2n], arrow.uint64()),
      on: arrow.columnFromArray([true, false], arrow.bool()),
      text: arrow.columnFromArray(["a", "b"], arrow.utf8()),
      when: times(T + 9n, 0n),
    }),
  );

  test("keeps times and integers exact", () => {
    const batch = readBatch(schema, body, about);
    expect(Array.from(batch.time)).toEqual([T, T + 1n]);
    expect(Array.from(batch.ert)).toEqual([T + 5n, T + 6n]);
    expect(batch.value("count", 0)).toBe(2n ** 53n + 1n);
    expect(batch.value("when", 0)).toBe(T + 9n);
    expect(batch.names).toEqual(["volts", "count", "on", "text", "when"]);
  });

  test("has numbers with NaN where there are none, and none for text", () => {
    const batch = readBatch(schema, body, about);
    expect(batch.numbers("volts")).toEqual(Float64Array.of(1.5, NaN));
    expect(batch.numbers("on")).toEqual(Float64Array.of(1, 0));
    expect(batch.numbers("text")).toBeNull();
    expect(batch.numbers("unknown")).toBeNull();
    expect(batch.value("volts", 1)).toBeNull();
    expect(batch.value("on", 1)).toBe(false);
    expect(batch.value("text", 1)).toBe("b");
  });

  test("reads from any alignment", () => {
    const shifted = new Uint8Array(body.length + 3).subarray(3);
    shifted.set(body);
    expect(Array.from(readBatch(schema, shifted, about).time)).toEqual([T, T + 1n]);
  });

  test("says so when it is damaged", () => {
    expect(() => readBatch(schema, body.subarray(0, body.length - 40), about)).toThrow();
  });
});

describe("parameters called like columns that aren't", () => {
  const identity = { time: times(T), ert: times(T), seq: arrow.columnFromArray([7], arrow.uint16()) };
  const number = (value: number): arrow.Column<unknown> => arrow.columnFromArray([value], arrow.float64());
  const int64 = (value: bigint): arrow.Column<unknown> => arrow.columnFromArray([value], arrow.int64());
  const bands = { "count|min": number(4), "count|max": number(6), "min|min": number(1), "min|max": number(3) };
  const read = (columns: Record<string, arrow.Column<unknown>>, summary: boolean) =>
    readBatch(...messages(table({ ...identity, ...columns })), { ...about, summary });
  const values = { count: number(5), min: number(2), max: number(8), last: number(9) };

  test.each([{}, { digest: int64(-77n) }])("keep their values in a summary with %o", (digest) => {
    const batch = read({ ...digest, "|count": int64(40n), ...values, ...bands }, true);
    expect(batch.names).toEqual(["count", "min", "max", "last", ...Object.keys(bands)]);
    expect(["count", "min", "max", "last"].map((name) => batch.value(name, 0))).toEqual([5, 2, 8, 9]);
    expect(batch.numbers("count|max")).toEqual(Float64Array.of(6));
    expect([batch.numbers("|count"), batch.numbers("digest")]).toEqual([null, null]);
  });

  test.each([{}, { digest: int64(-77n) }])("are told from an older summary's count by place, with %o", (digest) => {
    const { count, ...others } = values;
    expect(read({ ...digest, count: int64(40n), ...others }, true).names).toEqual(["min", "max", "last"]);
    expect(read({ ...digest, ...others, count }, true).value("count", 0)).toBe(5);
    expect(read({ ...digest, ...values }, false).value("count", 0)).toBe(5);
  });

  test("an older summary's count has a namesake, which is the parameter", () => {
    const built = table({ ...identity, count: int64(40n), Xount: number(5) });
    built[String.fromCharCode(...built).indexOf("Xount")] = "c".charCodeAt(0);
    const batch = readBatch(...messages(built), { ...about, summary: true });
    expect([batch.names, batch.value("count", 0)]).toEqual([["count"], 5]);
  });

  test("a digest elsewhere or of another type is a parameter", () => {
    expect(read({ v: number(1), digest: int64(2n) }, false).names).toEqual(["v", "digest"]);
    expect(read({ digest: number(2) }, false).names).toEqual(["digest"]);
    expect(read({ time2: number(2), digest: number(2) }, true).names).toEqual(["time2", "digest"]);
  });
});

test("history is cut into parameters", () => {
  const f64 = (...values: (number | null)[]): arrow.Column<unknown> => arrow.columnFromArray(values, arrow.float64());
  const ipc = table(
    {
      parameter: arrow.columnFromArray(["C/a", "C/a", "C/mode"], arrow.utf8()),
      time: times(T, T + 10n, T + 1n),
      min: f64(1, 2, null),
      mean: f64(1.5, 2.5, null),
      max: f64(2, 3, null),
      last: f64(1.75, 2.75, 4),
      changes: arrow.columnFromArray([null, null, 1n], arrow.int64()),
    },
    new Map([
      ["through", "42"],
      ["width", "10"],
      ["rollup", "60000000000"],
    ]),
  );
  const history = readHistory(ipc);
  expect([history.through, history.width, history.rollup]).toEqual([42, 10n, 60n * 1_000_000_000n]);
  const a = history.parameters.get("C/a")!;
  expect([Array.from(a.time), Array.from(a.low), Array.from(a.line), Array.from(a.high)]).toEqual([
    [T, T + 10n],
    [1, 2],
    [1.5, 2.5],
    [2, 3],
  ]);
  expect(Array.from(history.parameters.get("C/mode")!.line)).toEqual([4]);
});

test("latest values keep their text", () => {
  const ipc = table({
    parameter: arrow.columnFromArray(["C/a", "C/b"], arrow.utf8()),
    time: times(T, T),
    ert: times(T, T),
    last: arrow.columnFromArray([0.1, null], arrow.float64()),
    text: arrow.columnFromArray([null, "9007199254740993"], arrow.utf8()),
  });
  expect(readLatest(ipc)).toEqual([
    { parameter: "C/a", time: T, ert: T, last: 0.1, text: null },
    { parameter: "C/b", time: T, ert: T, last: null, text: "9007199254740993" },
  ]);
});
