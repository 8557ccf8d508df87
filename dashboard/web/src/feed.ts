/**
 * The WebSocket: subscriptions up, reports and Arrow batches down. Reconnects by itself; whoever plots learns of the
 * hole from the positions of the next batch.
 */
import { fromBase64, readBatch, type Batch } from "./arrow";

export type Connection = "connecting" | "connected" | "lost";

/** A JSON message of the server. */
export interface Report {
  type: "clock" | "station" | "alarm" | "event" | "log" | "ledger" | "banner" | "error";
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
  /** Something arrived that cannot be read. It is reported, and left out. */
  damaged(reason: string): void;
}

interface Subscription {
  id: number;
  mission: string;
  container: string;
}

/** Octets before the Arrow message: uint32 subscription, uint32 kind, uint64 from, uint64 to, little-endian. */
const HEADER = 24;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export class Feed {
  private socket: WebSocket | null = null;
  private failures = 0;
  private nextId = 1;
  private subscriptions = new Map<string, Subscription>();
  private byId = new Map<number, Subscription>();
  private schemas = new Map<string, Uint8Array>();

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
  ) {}

  open(): void {
    this.listener.connection(this.failures ? "lost" : "connecting");
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.failures = 0;
      this.schemas.clear();
      this.listener.connection("connected");
      this.send();
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      try {
        if (typeof data === "string") this.text(data);
        else this.binary(data);
      } catch (error) {
        this.listener.damaged(error instanceof Error ? error.message : String(error));
      }
    };
    socket.onclose = () => {
      const wait = RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)]!;
      this.listener.connection("lost");
      setTimeout(() => this.open(), wait);
    };
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
    const message = JSON.parse(data) as Report & { id?: number; kind?: string; ipc?: string };
    if ((message.type as string) !== "schema") return this.listener.report(message);
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
