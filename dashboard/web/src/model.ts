/** What the dashboard's HTTP and WebSocket interface speaks of. Times and positions come as decimal strings. */

export interface StationInfo {
  name: string;
  title: string;
  latitude_deg: number;
  longitude_deg: number;
}

export interface Mission {
  name: string;
  title: string;
  description: string;
  simulated: boolean;
  absolute_time: boolean;
  channels: { vcid: number; name: string; mode: string }[];
  stations: StationInfo[];
}

export type Severity = "watch" | "warning" | "distress" | "critical" | "severe";

export interface Limit {
  severity: Severity;
  low: number | null;
  high: number | null;
}

export interface Parameter {
  name: string;
  container: string;
  parameter: string;
  kind: "integer" | "float" | "enumeration" | "boolean" | "string" | "binary" | "time";
  unit: string;
  description: string;
  labels: Record<string, string> | null;
  limits: Limit[];
  type: string;
}

export interface StationReport {
  time: string;
  in_view: boolean;
  reason: string;
  elevation_deg: number | null;
  range_km: number | null;
  light_time_s: number | null;
  doppler_hz: number | null;
  eb_n0_db: number | null;
  frames_sent: number | null;
  next: { event: "AOS" | "LOS"; time: string } | null;
  station: string;
}

export interface EventReport {
  time: string;
  severity: "info" | "warning" | "error";
  source: string;
  text: string;
}

export interface AlarmReport {
  time: string;
  parameter: string;
  severity: Severity | "normal";
  previous: Severity | "normal";
  value: number | string | boolean | null;
  low: number | null;
  high: number | null;
}

/** An event or alarm as the server keeps it. `received`: when it came there, ns since 1970 UTC of its own clock. */
export type Entry = { mission: string; received: string } & (
  | { type: "event"; data: EventReport }
  | { type: "alarm"; data: AlarmReport }
);

type Counts = Record<string, number>;

export interface MissionLedger {
  frames: { in: number; good: number; duplicate: number; rejected: Counts };
  vcs: Record<string, { frames: number; gaps: number; lost: number; unheard: number; dropped: number; packets: number }>;
  packets: { in: number; decoded: number; idle: number; undecoded: Counts };
  /** `refused`: rows that the database has no room for, for ever. */
  rows: { stored: number; repeated: number; refused?: number };
  pending: number;
  /** NaN and infinities that the database has no number for: stored as nulls. */
  nonfinite?: number;
  /** Frames that a station numbered and that never arrived: the broker dropped them. */
  missing: number;
}

export interface Ledger {
  position: { recorded: number; processed: number; stored: number };
  /** A replay has no link. */
  link?: {
    state: string;
    received?: number;
    acknowledged?: number;
    protocol_errors?: number;
    recording_error?: string;
  };
  store: { error: string | null; behind_s: number };
  /** Messages whose topic names no mission of ours, by reason. */
  unrouted: Counts;
  /** What was stepped over in the recording, each with its segment and offset. */
  damage: string[];
  missions: Record<string, MissionLedger>;
  balanced: boolean;
}

/** Whether a parameter can be drawn against time. */
export const plottable = (p: Parameter): boolean =>
  p.kind === "float" || p.kind === "integer" || p.kind === "enumeration" || p.kind === "boolean";

/** Whether its values are states that hold until the next one, rather than samples of a curve. */
export const discrete = (p: Parameter): boolean => p.kind === "enumeration" || p.kind === "boolean";
