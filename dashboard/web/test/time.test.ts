import { describe, expect, test } from "vitest";
import {
  countdownText,
  dateText,
  durationText,
  instantText,
  parseIso,
  tickLabels,
  ticks,
  tickStep,
  toIso,
} from "../src/time";

const S = 1_000_000_000n;
const T = 1_836_635_022_123_456_789n;

describe("instants", () => {
  test("keep every nanosecond there and back", () => {
    expect(toIso(T)).toBe("2028-03-14T08:23:42.123456789Z");
    expect(parseIso(toIso(T))).toBe(T);
    expect(parseIso(toIso(-1n))).toBe(-1n);
    expect(toIso(T - 123_456_789n)).toBe("2028-03-14T08:23:42Z");
  });

  test("are cut, not rounded", () => {
    expect(instantText(999_999_999n, 3)).toBe("1970-01-01 00:00:00.999");
    expect(instantText(-1n)).toBe("1969-12-31 23:59:59");
  });

  test("count days where the epoch isn't known", () => expect(dateText(90_000n * S, false)).toBe("day 1"));

  test.each(["", "2028", "2028-03-14", "2028-13-14T00:00:00Z", "x2028-03-14T00:00:00Z"])("%j is no instant", (text) =>
    expect(parseIso(text)).toBeNull(),
  );
});

test.each([
  [0.3504, "350 ms"],
  [9.96, "10.0 s"],
  [42.4, "42 s"],
  [330, "5 min 30 s"],
  [7500, "2 h 05 min"],
  [273_600, "3 d 4 h"],
])("a duration of %d s reads %s", (seconds, text) => expect(durationText(seconds)).toBe(text));

test("a countdown never goes below zero", () => {
  expect(countdownText(271.9)).toBe("00:04:31");
  expect(countdownText(-5)).toBe("00:00:00");
  expect(countdownText(184_200)).toBe("2 d 03:10:00");
});

describe("ticks", () => {
  test("are clock-like above a second and decimal below it", () => {
    expect(tickStep(7n * S)).toBe(10n * S);
    expect(tickStep(61n * S)).toBe(120n * S);
    expect(tickStep(3n)).toBe(5n);
    expect(tickStep(86_401n * S)).toBe(172_800n * S);
  });

  test("lie on multiples of the step, before 1970, too", () => {
    expect(ticks(-7n, 11n, 5n)).toEqual([-5n, 0n, 5n, 10n]);
    expect(ticks(5n, 5n, 5n)).toEqual([5n]);
  });

  test("say the day once", () => {
    const day = 86_400n * S;
    expect(tickLabels([day - 60n * S, day, day + 60n * S], 60n * S, true)).toEqual([
      "23:59\n1970-01-01",
      "00:00\n1970-01-02",
      "00:01",
    ]);
    expect(tickLabels([T - 123_456_789n], 500_000_000n, true)[0]).toBe("08:23:42.0\n2028-03-14");
  });
});
