import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Batch } from "../src/arrow";
import { Feed } from "../src/feed";
import { Heartbeat } from "../src/heartbeat";
import { messages, table, times } from "./stream";

const S = 1_000_000_000n;
const T = 1_836_635_022n * S;

/** A socket whose other end is the test. */
class Socket {
  static readonly OPEN = 1;
  static all: Socket[] = [];
  readyState = 0;
  closed = false;
  sent: string[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  constructor(readonly url: string) {
    Socket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.closed = true;
  }

  opens(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  says(data: object | ArrayBuffer): void {
    this.onmessage?.({ data: data instanceof ArrayBuffer ? data : JSON.stringify(data) });
  }
}

const newest = (): Socket => Socket.all.at(-1)!;
const beat = (time: bigint): object => ({ type: "heartbeat", time: String(time) });

let connections: string[];
let silences: (bigint | null)[];
let batches: Batch[];
let damage: string[];
let feed: Feed;
let heartbeat: Heartbeat;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", Socket);
  Socket.all = [];
  [connections, silences, batches, damage] = [[], [], [], []];
  heartbeat = new Heartbeat();
  const listener = {
    connection: (state: string) => void connections.push(state),
    report: () => {},
    batch: (batch: Batch) => void batches.push(batch),
    silent: (since: bigint | null) => void silences.push(since),
    damaged: (reason: string) => void damage.push(reason),
  };
  feed = new Feed("ws://here/ws", listener, heartbeat);
  feed.open();
  newest().opens();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("a server that falls silent", () => {
  test("is missed after three seconds, since when by its own clock, and called again", () => {
    newest().says(beat(T));
    vi.advanceTimersByTime(1500);
    newest().says({ type: "ledger", data: {} }); // any message is a sign of life
    vi.advanceTimersByTime(2900);
    expect(silences).toEqual([]);
    vi.advanceTimersByTime(400);
    expect(silences).toEqual([T + 1_500_000_000n]);
    expect(Socket.all[0]!.closed).toBe(true);
    expect(connections.at(-1)).toBe("lost");
    vi.advanceTimersByTime(500);
    expect(Socket.all).toHaveLength(2);
    expect(heartbeat.silence(performance.now())).toBeCloseTo(3.8, 0);
  });

  test("is silent until it says something, not until the connection is open", () => {
    newest().says(beat(T));
    vi.advanceTimersByTime(3500);
    vi.advanceTimersByTime(500);
    newest().opens();
    expect(silences).toHaveLength(1);
    newest().says({ type: "log", data: [] });
    expect(silences).toEqual([T, null]);
  });

  test("is called less and less often while connections open and say nothing", () => {
    newest().says(beat(T));
    const counts = [10, 10, 10].map((seconds) => {
      const before = Socket.all.length;
      for (let s = 0; s < seconds; s++) {
        vi.advanceTimersByTime(1000);
        if (!newest().readyState) newest().opens();
      }
      return Socket.all.length - before;
    });
    expect(counts[2]).toBeLessThan(counts[0]!);
    expect(silences).toHaveLength(1);
  });

  test("is missed when the connection closed, too, and not before that counts", () => {
    newest().says(beat(T));
    Socket.all[0]!.onclose!();
    expect(silences).toEqual([]);
    vi.advanceTimersByTime(3300);
    expect(silences).toEqual([T]);
  });

  test("is missed after a sleep in which timers and the monotonic clock stood still", () => {
    newest().says(beat(T));
    vi.advanceTimersByTime(1000);
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(250);
    expect(silences).toEqual([T]);
    vi.advanceTimersByTime(500);
    expect(Socket.all).toHaveLength(2);
  });

  test("isn't missed while messages wait behind late timers", () => {
    newest().says(beat(T));
    const slept = 60_000;
    const awake = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => awake() + slept);
    vi.setSystemTime(Date.now() + slept);
    vi.advanceTimersByTime(250); // the late one
    newest().says(beat(T + 60n * S));
    vi.advanceTimersByTime(2000);
    expect(silences).toEqual([]);
    clock.mockRestore();
  });

  test("and never sent a heartbeat is an older one, whose silence means nothing", () => {
    newest().says({ type: "log", data: [] });
    vi.advanceTimersByTime(60_000);
    expect(silences).toEqual([]);
    expect(Socket.all).toHaveLength(1);
  });

  test("whose heartbeat can't be read is heard, and the damage told", () => {
    newest().says(beat(T));
    vi.advanceTimersByTime(2500);
    newest().says({ type: "heartbeat", time: "noon" });
    vi.advanceTimersByTime(2500);
    expect([silences, damage.length]).toEqual([[], 1]);
  });
});

describe("after a reconnect", () => {
  const [schema, body] = messages(table({ time: times(T), ert: times(T), seq: times(0n), v: times(1n) }));
  const announce = { type: "schema", id: 1, kind: "raw", ipc: btoa(String.fromCharCode(...schema)) };
  const batch = new Uint8Array(24 + body.length);
  batch[0] = 1;
  batch.set(body, 24);

  test("schemas of the connection before are gone, and nobody listens to it", () => {
    feed.subscribe(new Set(["m/C"]));
    const before = newest();
    before.says(announce);
    before.says(batch.buffer);
    expect(batches).toHaveLength(1);
    before.onclose!();
    before.says(announce); // too late
    vi.advanceTimersByTime(500);
    newest().opens();
    before.says(announce);
    expect(newest().sent).toHaveLength(1);
    newest().says(batch.buffer);
    expect(batches).toHaveLength(1);
    expect(damage).toEqual(["no schema came before the data of C"]);
    newest().says(announce);
    newest().says(batch.buffer);
    expect(batches).toHaveLength(2);
  });
});
