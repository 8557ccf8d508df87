/**
 * The WebSocket: subscriptions up, reports and Arrow batches down. Reconnects by itself, also from a connection that is
 * open and says nothing; whoever plots learns of the hole from the positions of the next batch.
 */
import { fromBase64, readBatch, type Batch } from "./arrow";
import { Heartbeat, SILENCE_MS } from "./heartbeat";
import type { Ns } from "./time";

export type Connection = "connecting" | "connected" | "lost";

/** A JSON message of the server. */
export interface Report {
  type: "clock" | "station" | "alarm" | "alarms" | "event" | "log" | "ledger" | "banner" | "error" | "state";
  mission?: string;
  station?: string;
  data?: unknown;
  text?: string | null;
  replay?: boolean;
}

export interface Listener {
  connection(state: Connection): void;
  report(report: Report): void;
  batch(batch: Batch): void;
  /** Nothing was heard for too long, since this time of the server's clock; null when it is heard again. */
  silent(since: Ns | null): void;
  /** Something arrived that cannot be read. It is reported, and left out. */
  damaged(reason: string): void;
}

/** What concerns the connection alone. */
interface Message {
  type: Report["type"] | "schema" | "heartbeat";
  time?: string;
  id?: number;
  kind?: string;
  ipc?: string;
}

interface Subscription {
  id: number;
  mission: string;
  container: string;
}

/** Octets before the Arrow message: uint32 subscription, uint32 kind, uint64 from, uint64 to, little-endian. */
const HEADER = 24;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];
/** How often (ms) it is looked whether anything was heard, and how long a connection may take to open. */
const WATCH_MS = 250;
const OPENING_MS = 10_000;

export class Feed {
  private socket: WebSocket | null = null;
  private failures = 0;
  private nextId = 1;
  private subscriptions = new Map<string, Subscription>();
  private byId = new Map<number, Subscription>();
  private schemas = new Map<string, Uint8Array>();
  private silent = false;
  /** When this connection has to have said something (page's clocks, ms); later with every message. */
  private due = { monotonic: Infinity, wall: Infinity };
  private watchedMs = 0;
  private pardoned = false;

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
    private readonly heartbeat = new Heartbeat(),
  ) {}

  open(): void {
    this.watchedMs = performance.now();
    setInterval(() => this.watch(), WATCH_MS);
    this.connect();
  }

  private connect(): void {
    this.listener.connection(this.failures ? "lost" : "connecting");
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    // The server announces schemas anew on every connection, and may have others by now.
    this.schemas.clear();
    this.expect(OPENING_MS);
    socket.onopen = () => {
      this.expect(SILENCE_MS);
      this.listener.connection("connected");
      this.send();
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      this.hear();
      try {
        if (typeof data === "string") this.text(data);
        else this.binary(data);
      } catch (error) {
        this.listener.damaged(error instanceof Error ? error.message : String(error));
      }
    };
    socket.onclose = () => this.reconnect();
  }

  private reconnect(): void {
    const socket = this.socket;
    if (socket) {
      // A dead connection takes minutes to close, and could still speak in between: nobody listens any more.
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.socket = null;
    this.due = { monotonic: Infinity, wall: Infinity };
    const wait = RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)]!;
    this.listener.connection("lost");
    setTimeout(() => this.connect(), wait);
  }

  private expect(withinMs: number): void {
    this.due = { monotonic: performance.now() + withinMs, wall: Date.now() + withinMs };
  }

  private hear(): void {
    this.failures = 0;
    this.expect(SILENCE_MS);
    this.heartbeat.hear(performance.now());
    if (!this.silent) return;
    this.silent = false;
    this.listener.silent(null);
  }

  private watch(): void {
    const now = performance.now();
    // The computer slept, or the browser held the page: messages may be waiting behind this timer. They have one turn.
    const late = now - this.watchedMs > SILENCE_MS;
    this.watchedMs = now;
    const { heartbeat } = this;
    this.pardoned = late && !this.pardoned;
    if (this.pardoned || heartbeat.since === null) return;
    // The monotonic clock of some systems stands still while they sleep; then the other one tells.
    const overdue = now >= this.due.monotonic || Date.now() >= this.due.wall;
    if (!this.silent && (overdue || heartbeat.silence(now) * 1000 >= SILENCE_MS)) {
      this.silent = true;
      this.listener.silent(heartbeat.since);
    }
    if (overdue) this.reconnect();
  }

  /** Replaces the set of containers (`mission/container`) that this page looks at. */
  subscribe(wanted: ReadonlySet<string>): void {
    const same = wanted.size === this.subscriptions.size && [...wanted].every((key) => this.subscriptions.has(key));
    if (same) return;
    const next = new Map<string, Subscription>();
    for (const key of wanted) {
      const cut = key.indexOf("/");
      const known = this.subscriptions.get(key);
      next.set(key, known ?? { id: this.nextId++, mission: key.slice(0, cut), container: key.slice(cut + 1) });
    }
    this.subscriptions = next;
    this.byId = new Map(Array.from(next.values(), (s) => [s.id, s]));
    this.send();
  }

  private send(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ subscribe: [...this.subscriptions.values()] }));
  }

  private text(data: string): void {
    const message = JSON.parse(data) as Omit<Report, "type"> & Message;
    if (message.type === "heartbeat") return this.heartbeat.beat(BigInt(message.time ?? ""), performance.now());
    if (message.type !== "schema") return this.listener.report(message as Report);
    this.schemas.set(`${message.id}/${message.kind}`, fromBase64(message.ipc ?? ""));
  }

  private binary(data: ArrayBuffer): void {
    if (data.byteLength < HEADER) throw new RangeError("a live message is shorter than its header");
    const view = new DataView(data);
    const subscription = this.byId.get(view.getUint32(0, true));
    if (!subscription) return; // sent before the server heard that we look elsewhere
    const summary = view.getUint32(4, true) === 1;
    const schema = this.schemas.get(`${subscription.id}/${summary ? "summary" : "raw"}`);
    if (!schema) throw new Error(`no schema came before the data of ${subscription.container}`);
    this.listener.batch(
      readBatch(schema, new Uint8Array(data, HEADER), {
        mission: subscription.mission,
        container: subscription.container,
        summary,
        from: Number(view.getBigUint64(8, true)),
        to: Number(view.getBigUint64(16, true)),
      }),
    );
  }
}

/** The feed's address beside the page's own. */
export function feedUrl(page: Location): string {
  return `${page.protocol === "https:" ? "wss" : "ws"}://${page.host}/ws`;
}
