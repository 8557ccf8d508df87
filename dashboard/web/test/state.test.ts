import { beforeEach, describe, expect, test } from "vitest";
import { onReport } from "../src/session";
import * as state from "../src/state";

const S = 1_000_000_000n;

describe("ages", () => {
  beforeEach(() => {
    state.silentSince.value = null;
    state.times.clear();
  });

  const second = (n: number): void => {
    state.heartbeat.beat(BigInt(1000 + n) * S, n * 1000);
    state.heartbeat.hear(n * 1000);
  };

  test("follow the mission's clock while the server is heard, which may stop", () => {
    second(0);
    for (const n of [0, 1, 2]) state.timeOf("m").hear({ time: BigInt(n) * S, rate: 1 }, n * 1000);
    second(60);
    expect(state.ageEdge("m", 60_000)).toBe(state.timeOf("m").edge(60_000));
  });

  test("of others' silences stand still meanwhile: nothing is known of them", () => {
    second(5);
    state.tick.value = 6000;
    expect(state.judged.value).toBe(6000);
    state.silentSince.value = 1005n * S;
    state.tick.value = 60_000;
    expect(state.judged.value).toBe(5000);
  });

  test("grow by the server's clock while it is silent, at the mission's rate", () => {
    for (const n of [0, 1, 2]) {
      second(n);
      state.timeOf("m").hear({ time: BigInt(10 * n) * S, rate: 10 }, n * 1000);
      state.timeOf("clockless").received(BigInt(50 + n) * S, n * 1000);
    }
    state.silentSince.value = 1002n * S;
    expect(state.ageEdge("m", 62_000)).toBe(620n * S);
    expect(state.ageEdge("clockless", 62_000)).toBe(112n * S);
    expect(state.ageEdge("unknown", 62_000)).toBeNull();
  });
});

describe("a mission that stands still", () => {
  const say = (mission: string, running: boolean, reason: string | null): void =>
    onReport({ type: "state", mission, data: { running, reason } });

  test("is shown with its reason until it runs, and one that runs isn't heard of by that", () => {
    const info = { title: "", description: "", simulated: false, absolute_time: true, channels: [], stations: [] };
    state.missions.value = ["a", "b", "c"].map((name) => ({ name, ...info }));
    say("a", false, "the definition has two containers for APID 11");
    say("b", true, null);
    say("c", false, null);
    expect(state.standstills.value.get("a")).toBe("the definition has two containers for APID 11");
    expect(state.standstills.value.get("c")).toContain("no reason");
    expect(state.visible.value.map(({ name }) => name)).toEqual(["a", "c"]);
    say("a", true, null);
    expect([...state.standstills.value.keys()]).toEqual(["c"]);
    onReport({ type: "log", data: [] }); // a server's first words
    expect(state.standstills.value.size).toBe(0);
  });
});
