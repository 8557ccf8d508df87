import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { countText, merge, readAlarms, stateText } from "../src/alarm-list";
import { acknowledge } from "../src/api";
import { onReport } from "../src/session";
import * as state from "../src/state";

const entry = (parameter: string, more: object = {}): object => ({
  parameter,
  state: "unacknowledged",
  severity: "warning",
  value: 9.5,
  low: null,
  high: 5,
  since: "1836635022123456789",
  raised: "1836635022123456789",
  operator: null,
  comment: null,
  position: "7",
  ...more,
});

const names = (data: object[]): string[] => readAlarms(data).map(({ parameter }) => parameter);

describe("the server's list of alarms", () => {
  test("keeps what isn't normal, worst first, what was put aside last", () => {
    const list = [
      entry("C/seen", { state: "acknowledged" }),
      entry("C/fine", { state: "normal", since: null }),
      entry("C/aside", { state: "shelved", severity: "severe" }),
      entry("C/back", { state: "returned" }),
      entry("C/old", { raised: "1" }),
      entry("C/new", { raised: "2" }),
      entry("C/worst", { severity: "critical", state: "acknowledged" }),
    ];
    expect(names(list)).toEqual(["C/worst", "C/new", "C/old", "C/back", "C/seen", "C/aside"]);
    expect(countText(readAlarms(list))).toBe("6 alarms, 3 unacknowledged");
  });

  test("has exact times and says what has become of each", () => {
    const [alarm] = readAlarms([entry("C/v", { state: "acknowledged", operator: "Ada", comment: "known" })]);
    expect(alarm!.raised).toBe(1_836_635_022_123_456_789n);
    expect(stateText(alarm!)).toBe("acknowledged by Ada: known");
    expect(stateText({ ...alarm!, state: "returned" })).toBe("back within limits, unacknowledged");
  });

  test("is read as a whole or not at all", () => {
    for (const damaged of [{}, null, [entry("C/v", { state: "odd" })], [entry("C/v", { since: "noon" })]])
      expect(() => readAlarms(damaged)).toThrow();
  });

  test("of several missions is one list", () => {
    const lists = new Map([
      ["a", readAlarms([entry("C/v")])],
      ["b", readAlarms([entry("C/w", { severity: "severe" })])],
    ]);
    expect(merge(lists).map(({ mission }) => mission)).toEqual(["b", "a"]);
  });

  test("replaces the one before, mission by mission; an empty one is one, too", () => {
    const said = (mission: string, ...data: object[]): void => onReport({ type: "alarms", mission, data });
    const known = (): unknown => [...state.alarms.value].map(([mission, list]) => [mission, list.length]);
    expect(state.alarms.value.size).toBe(0);
    said("a", entry("C/v"), entry("C/w"));
    said("b");
    said("a", entry("C/w"));
    expect(known()).toEqual([
      ["a", 1],
      ["b", 0],
    ]);
    expect(() => onReport({ type: "alarms", mission: "a", data: "none" })).toThrow();
    expect(known()).toEqual([
      ["a", 1],
      ["b", 0],
    ]);
    expect([...state.heard.value]).toEqual(["a"]);
  });
});

describe("acknowledging", () => {
  const fetched = vi.fn<(path: string, init: RequestInit) => Promise<Response>>();
  beforeEach(() => void vi.stubGlobal("fetch", fetched));
  afterEach(() => {
    vi.unstubAllGlobals();
    fetched.mockReset();
  });

  test("one or all is a POST of an empty object", async () => {
    fetched.mockImplementation(async () => new Response("{}"));
    await acknowledge("luna 26", "Power.A/v/x");
    await acknowledge("luna26");
    expect(fetched.mock.calls.map(([path]) => path)).toEqual([
      "/api/missions/luna%2026/alarms/Power.A/v%2Fx/acknowledge",
      "/api/missions/luna26/alarms/acknowledge",
    ]);
    for (const [, init] of fetched.mock.calls) expect([init.method, init.body]).toEqual(["POST", "{}"]);
  });

  test("that is refused says why", async () => {
    fetched.mockResolvedValueOnce(Response.json({ detail: "the operator's role doesn't allow it" }, { status: 403 }));
    await expect(acknowledge("m", "C/v")).rejects.toThrow("the operator's role doesn't allow it");
    fetched.mockResolvedValueOnce(new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
    await expect(acknowledge("m")).rejects.toThrow("The alarms of m could not be acknowledged: 502 Bad Gateway");
    fetched.mockRejectedValueOnce(new TypeError("Failed to fetch"));
    await expect(acknowledge("m")).rejects.toThrow("no connection to the server");
  });
});
