import { describe, expect, test } from "vitest";
import { MissionTime } from "../src/clock";
import { secondsBetween } from "../src/time";

const S = 1_000_000_000n;
const at = (seconds: number): { time: bigint; rate: number } => ({ time: BigInt(seconds) * S, rate: 1 });

describe("a mission's clock", () => {
  test("doesn't run on a single message: it may be the retained one of a clock that stopped", () => {
    const time = new MissionTime();
    time.hear(at(100), 0);
    expect(time.now(60_000)).toBe(100n * S);
    expect(time.running(1)).toBe(false);
  });

  test("runs from the second message on, at its rate, until messages stop", () => {
    const time = new MissionTime();
    time.hear({ time: 100n * S, rate: 10 }, 0);
    time.hear({ time: 110n * S, rate: 10 }, 1000);
    expect(time.now(1500)).toBe(115n * S);
    expect(time.running(1500)).toBe(true);
    expect(time.running(10_000)).toBe(false);
    expect(time.now(10_000)).toBe(time.now(100_000));
  });

  test("takes up jitter slowly and jumps at once", () => {
    const time = new MissionTime();
    time.hear(at(100), 0);
    time.hear(at(101), 1000);
    time.hear(at(102), 2400);
    expect(Math.abs(secondsBetween(time.now(2400)!, 102n * S))).toBeGreaterThan(0.3);
    time.hear(at(5000), 3000);
    expect(time.now(3000)).toBe(5000n * S);
  });

  test("is the newest onboard time where there is no clock", () => {
    const time = new MissionTime();
    expect(time.edge(0)).toBeNull();
    time.received(7n * S, 0);
    time.received(5n * S, 0);
    expect(time.edge(99_999)).toBe(7n * S);
  });
});

describe("the live edge", () => {
  function running(lightTime: number): MissionTime {
    const time = new MissionTime();
    time.lightTime = lightTime;
    time.hear(at(1000), 0);
    time.hear(at(1001), 1000);
    return time;
  }

  test("lies the light time behind the mission clock", () => {
    const time = running(300);
    time.received(700n * S, 1000);
    expect(time.edge(1000)).toBe(701n * S);
  });

  test("doesn't lie before the newest data", () => {
    const time = running(300);
    time.received(999n * S, 1000);
    expect(time.edge(2000)).toBe(1000n * S);
  });
});
