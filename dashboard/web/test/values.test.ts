import { describe, expect, test } from "vitest";
import type { Batch } from "../src/arrow";
import { axisText, exactText, hexText, numberText, valueText } from "../src/format";
import { LatestValues } from "../src/latest";
import { limitState, signText } from "../src/limits";
import { linkState, noContact } from "../src/link";
import type { Parameter, StationReport } from "../src/model";
import { branches, firstLook } from "../src/tree";

const S = 1_000_000_000n;

function parameter(name: string, more: Partial<Parameter> = {}): Parameter {
  const [container = "", short = ""] = name.split("/");
  return {
    name,
    container,
    parameter: short,
    kind: "float",
    unit: "",
    description: "",
    labels: null,
    limits: [],
    type: "double",
    ...more,
  };
}

describe("numbers", () => {
  test.each([
    [0, "0"],
    [28.123456789, "28.1235"],
    [-0.5, "−0.50000"],
    [149_597_870.7, "149\u2009597\u2009871"],
    [1.5e12, "1.5000e12"],
    [0.00001234, "1.2340e−5"],
    [NaN, "NaN"],
    [-Infinity, "−∞"],
  ])("%d reads %s", (value, text) => expect(numberText(value)).toBe(text));

  test("are exact for machines", () => {
    expect(exactText(0.1 + 0.2)).toBe("0.30000000000000004");
    expect(exactText(-0)).toBe("-0");
    expect(exactText(9007199254740993n)).toBe("9007199254740993");
    expect(exactText(Uint8Array.of(0xde, 0xad))).toBe("3q0=");
    expect(exactText(null)).toBe("");
  });

  test("on an axis have the decimals that the step needs", () => {
    expect(axisText(28.5, 0.5)).toBe("28.5");
    expect(axisText(2, 1)).toBe("2");
    expect(axisText(149_597_871, 1)).toBe("149\u2009597\u2009871");
    expect(axisText(0.30000000000000004, 0.1)).toBe("0.3");
    expect(axisText(2.5e11, 1e10)).toBe("2.50e11");
    expect(axisText(1.2e-5, 1e-6)).toBe("1.20e−5");
  });
});

test("values read by kind", () => {
  expect(valueText(1, parameter("C/a", { kind: "enumeration", labels: { "1": "ON" } }))).toBe("ON");
  expect(valueText(7, parameter("C/a", { kind: "enumeration", labels: { "1": "ON" } }))).toBe("7 (no label)");
  expect(valueText(false, parameter("C/a", { kind: "boolean" }))).toBe("false");
  expect(valueText(1n, parameter("C/a", { kind: "time" }))).toBe("1970-01-01 00:00:00");
  expect(valueText(null, parameter("C/a"))).toBe("–");
  expect(hexText(Uint8Array.of(1, 255), 1)).toBe("01 … (2 B)");
});

describe("limits", () => {
  const limits: Parameter["limits"] = [
    { severity: "critical", low: 0, high: 100 },
    { severity: "warning", low: 10, high: null },
  ];

  test.each([
    [50, "normal"],
    [10, "normal"],
    [9.99, "warning"],
    [-1, "critical"],
    [101, "critical"],
  ])("%d is %s", (value, state) => expect(limitState(value, limits)).toBe(state));

  test("say nothing of what has none", () => {
    expect(limitState(5, [])).toBeNull();
    expect(limitState(null, limits)).toBeNull();
    expect(limitState(NaN, limits)).toBeNull();
  });

  test("are told apart without colour", () => {
    const texts = (["normal", "watch", "warning", "distress", "critical", "severe"] as const).map(signText);
    expect(new Set(texts.map((t) => t[0])).size).toBe(texts.length);
  });
});

describe("the tree", () => {
  const all = [
    parameter("Power/battery_voltage", { unit: "V", description: "Main bus" }),
    parameter("Power/mode", { kind: "enumeration" }),
    parameter("Power/state_of_charge", { unit: "%" }),
    parameter("Thermal/temp_1", { unit: "°C" }),
  ];

  test("keeps what has every word", () => {
    expect(branches(all, "").map((b) => b.parameters.length)).toEqual([3, 1]);
    expect(branches(all, "BATTERY bus")[0]!.parameters.map((p) => p.parameter)).toEqual(["battery_voltage"]);
    expect(branches(all, "state of")[0]!.parameters[0]!.parameter).toBe("state_of_charge");
    expect(branches(all, "nothing")).toEqual([]);
  });

  test("knows what to look at first", () => {
    const rich = [
      parameter("Power/battery_charge"),
      parameter("Power/array_power"),
      parameter("Thermal/battery_temperature"),
      parameter("Neutrons/neutrons_thermal", { kind: "integer" }),
      parameter("Neutrons/neutrons_epithermal", { kind: "integer" }),
    ];
    expect(firstLook(rich)).toEqual([
      ["Power/battery_charge", "Power/array_power"],
      ["Neutrons/neutrons_epithermal", "Neutrons/neutrons_thermal"],
      ["Thermal/battery_temperature"],
    ]);
    expect(firstLook(all)).toEqual([["Power/state_of_charge"]]);
    expect(firstLook([parameter("C/a"), parameter("C/b"), parameter("C/c"), parameter("D/d")])).toEqual([
      ["C/a", "C/b"],
    ]);
    expect(firstLook([parameter("Packet_40/raw", { kind: "binary" })])).toEqual([]);
  });
});

describe("a station's silence", () => {
  const report = { in_view: true, reason: "in view" } as StationReport;

  test("has three different names", () => {
    expect(linkState(report, 1, 99).text).toBe("receiving");
    expect(linkState(report, 60, 99).kind).toBe("look");
    expect(linkState({ ...report, in_view: false, reason: "occulted by the Moon" }, 60, 99)).toEqual({
      kind: "absent",
      text: "occulted by the Moon",
    });
  });

  test("counts from the page's opening where nothing came", () => {
    expect(linkState(report, null, 3)).toEqual({ kind: "standby", text: "in view" });
    expect(linkState(report, null, 60).kind).toBe("look");
  });

  test("is nothing to look into while another station delivers", () => {
    expect(linkState(report, null, 60, true)).toEqual({ kind: "standby", text: "in view, standing by" });
    expect(linkState(report, 1, 60, true).kind).toBe("receiving");
  });

  test("ends with what was recorded meanwhile", () => {
    expect(linkState(report, 1, 99, true, true).text).toBe("receiving, with playback");
  });

  test("of all of them says why and when it ends", () => {
    const away = (reason: string, station: string, aos: bigint | null): StationReport => ({
      ...report,
      in_view: false,
      reason,
      station,
      next: aos === null ? null : { event: "AOS", time: String(aos) },
    });
    const all = [
      away("below the horizon", "A", null),
      away("occulted by the Moon", "B", 9n * S),
      away("occulted by the Moon", "C", 8n * S),
    ];
    expect(noContact(all)).toEqual({
      why: "occulted by the Moon, below the horizon",
      next: { time: 8n * S, station: "C" },
    });
    expect(noContact([all[0]!])).toEqual({ why: "below the horizon", next: null });
    expect(noContact([...all, report])).toBeNull();
    expect(noContact([])).toBeNull();
  });

  test("is told of stations without reports, too", () => {
    expect(linkState(undefined, 1, 9).kind).toBe("receiving");
    expect(linkState(undefined, null, 9).kind).toBe("unknown");
  });
});

describe("latest values", () => {
  const batch = (second: number, value: number | null): Batch => ({
    mission: "m",
    container: "C",
    summary: true,
    from: 0,
    to: 1,
    rows: 1,
    time: BigInt64Array.of(BigInt(second) * S),
    ert: BigInt64Array.of(BigInt(second) * S),
    seq: Float64Array.of(0),
    names: ["v", "v|min", "v|max", "min", "count"],
    value: (name) => (name === "v" ? value : 0),
    numbers: () => null,
  });

  test("are what came last, with a value, and no columns of summaries", () => {
    const latest = new LatestValues();
    latest.batch(batch(5, 1.5));
    latest.batch(batch(4, 2.5)); // the onboard clock was set back
    latest.batch(batch(6, null));
    expect(latest.get("m", "C/v")).toEqual({ time: 4n * S, ert: 4n * S, value: 2.5 });
    expect(latest.get("m", "C/v|min")).toBeUndefined();
    expect(latest.get("m", "C/count")!.value).toBe(0); // a parameter may be called that
    expect(latest.get("m", "C/min")!.value).toBe(0);
  });

  test("expire after missed samples", () => {
    const latest = new LatestValues();
    expect(latest.expiry("m", "C")).toBe(30);
    for (let s = 0; s < 50; s += 10) latest.batch(batch(s, 1));
    expect(latest.expiry("m", "C")).toBeCloseTo(50);
  });

  test("keep their rhythm over a silence", () => {
    const latest = new LatestValues();
    for (const s of [0, 10, 20, 7200]) latest.batch(batch(s, 1));
    expect(latest.expiry("m", "C")).toBe(100);
    const p = parameter("C/v");
    expect(latest.expired("m", p, 7300n * S, 1)).toBe(false);
    expect(latest.expired("m", p, 7301n * S, 1)).toBe(true);
    expect(latest.expired("m", p, 7301n * S, 40)).toBe(false);
    expect(latest.expired("m", p, null, 1)).toBe(false);
  });

  test("of the store don't replace what was received after them", () => {
    const latest = new LatestValues();
    latest.batch(batch(5, 1.5));
    const row = { parameter: "C/v", time: 9n * S, last: 2.5, text: null };
    latest.rows("m", [{ ...row, ert: 4n * S }], [parameter("C/v")]);
    expect(latest.get("m", "C/v")!.value).toBe(1.5);
    latest.rows("m", [{ ...row, ert: 6n * S }], [parameter("C/v")]);
    expect(latest.get("m", "C/v")!.value).toBe(2.5);
  });

  test("follow the alarms of containers that nobody watches", () => {
    const latest = new LatestValues();
    const p = parameter("C/v", { limits: [{ severity: "warning", low: 0, high: 2 }] });
    expect(latest.state("m", p)).toBeNull();
    latest.batch(batch(5, 1.5));
    expect(latest.state("m", p)).toBe("normal");
    const alarm = { parameter: "C/v", severity: "warning", previous: "normal", low: 0, high: 2 } as const;
    latest.alarm("m", { ...alarm, time: String(6n * S), value: 2.5 }, 3);
    expect(latest.state("m", p)).toBe("warning");
    expect(latest.get("m", "C/v")!.ert).toBe(9n * S);
  });

  test("of the store read by their kind", () => {
    const latest = new LatestValues();
    const row = { time: S, ert: S, last: null, text: null };
    latest.rows(
      "m",
      [
        { ...row, parameter: "C/big", text: "9007199254740993" },
        { ...row, parameter: "C/on", last: 1 },
        { ...row, parameter: "C/text", text: "12" },
        { ...row, parameter: "C/raw", text: "3q0=" },
      ],
      [
        parameter("C/big", { kind: "integer" }),
        parameter("C/on", { kind: "boolean" }),
        parameter("C/text", { kind: "string" }),
        parameter("C/raw", { kind: "binary" }),
      ],
    );
    expect(latest.get("m", "C/raw")!.value).toEqual(Uint8Array.of(0xde, 0xad));
    expect(["C/big", "C/on", "C/text"].map((name) => latest.get("m", name)!.value)).toEqual([
      9007199254740993n,
      true,
      "12",
    ]);
  });
});
