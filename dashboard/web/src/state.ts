/** Everything that the page shows, as signals, and the few ways to change it. */
import { computed, signal } from "@preact/signals";
import { readAlarms, type Alarm } from "./alarm-list";
import { MissionTime } from "./clock";
import type { Range } from "./conductor";
import type { Connection } from "./feed";
import type { PlotView, View } from "./hash";
import { Heartbeat } from "./heartbeat";
import { LatestValues } from "./latest";
import type { Entry, Ledger, Mission, Parameter, StationReport } from "./model";
import { fromSeconds, type Ns } from "./time";

export interface Plot extends PlotView {
  id: number;
}

export const connection = signal<Connection>("connecting");
export const heartbeat = new Heartbeat();
/** The server's time since which nothing was heard of it, while that is too long; else null. */
export const silentSince = signal<Ns | null>(null);
export const banner = signal<{ text: string; replay: boolean } | null>(null);
/** What the server says is wrong, until it says otherwise. */
export const trouble = signal<string | null>(null);
/** What this page could not do. */
export const problem = signal<string | null>(null);

export const missions = signal<readonly Mission[]>([]);
/** Missions of which data or a report was heard. */
export const heard = signal<ReadonlySet<string>>(new Set());
export const parameters = signal<ReadonlyMap<string, readonly Parameter[]>>(new Map());
/** By `mission/station`. */
export const stations = signal<ReadonlyMap<string, StationReport>>(new Map());
export const ledger = signal<Ledger | null>(null);
/** Events and alarms, newest first by their arrival at the server. */
export const entries = signal<readonly Entry[]>([]);
/** By mission: the server's list, without what is normal, worst first. None of missions that it doesn't keep one of. */
export const alarms = signal<ReadonlyMap<string, readonly Alarm[]>>(new Map());
/** By mission that stands still: why, as the server says it. */
export const standstills = signal<ReadonlyMap<string, string>>(new Map());

export const selected = signal<string | null>(null);
export const container = signal<string | null>(null);
export const range = signal<Range>({ kind: "live", span: 300 });
export const plots = signal<readonly Plot[]>([]);
export const current = signal<number | null>(null);

/** The page's monotonic clock in ms, five times a second: drives ages, countdowns and mission clocks. */
export const tick = signal(performance.now());

export const times = new Map<string, MissionTime>();
export const latest = new LatestValues();
/** When (page's clock, ms) the frame counter of a `mission/station` last moved. */
export const activity = new Map<string, number>();
/** The same for its playback channels alone. */
export const playback = new Map<string, number>();

/** Missions on screen: simulated ones first, then those that were heard of. A replay has only what it recorded. */
export const visible = computed(() =>
  missions.value
    .filter((m) => heard.value.has(m.name) || (m.simulated && !banner.value?.replay))
    .sort((a, b) => Number(b.simulated) - Number(a.simulated)),
);

export const selectedMission = computed(() => missions.value.find((m) => m.name === selected.value) ?? null);

export const byName = computed(() => {
  const all = new Map<string, Map<string, Parameter>>();
  for (const [mission, list] of parameters.value) all.set(mission, new Map(list.map((p) => [p.name, p])));
  return all;
});

export const parameter = (mission: string, name: string): Parameter | undefined => byName.value.get(mission)?.get(name);

export function timeOf(mission: string): MissionTime {
  const known = times.get(mission);
  if (known) return known;
  const fresh = new MissionTime();
  times.set(mission, fresh);
  return fresh;
}

/**
 * The page's clock (ms) for judging who is silent. It stands still while the server itself isn't heard, since nothing is
 * known then of simulators and stations.
 */
export const judged = computed(() =>
  silentSince.value === null || heartbeat.heardMs === null ? tick.value : heartbeat.heardMs,
);

/**
 * The onboard time that ages count from, as {@link MissionTime.edge}; while the server is silent it goes on by the
 * server's clock, since what is shown grows old whether or not the mission's clock is heard.
 */
export function ageEdge(mission: string, nowMs: number): Ns | null {
  const time = timeOf(mission);
  if (silentSince.value === null || heartbeat.heardMs === null) return time.edge(nowMs);
  const edge = time.edge(heartbeat.heardMs);
  return edge === null ? null : edge + fromSeconds(heartbeat.silence(nowMs) * time.rate);
}

export function hear(mission: string): void {
  if (!heard.value.has(mission)) heard.value = new Set([...heard.value, mission]);
}

/** Takes the whole list of a mission's alarms. */
export function listAlarms(mission: string, data: unknown): void {
  const list = readAlarms(data);
  alarms.value = new Map(alarms.value).set(mission, list);
  if (list.length) hear(mission);
}

/** Takes whether a mission's telemetry is processed; one that stands still is shown, heard of or not. */
export function run(mission: string, { running, reason }: { running: boolean; reason: string | null }): void {
  const still = new Map(standstills.value);
  if (running) still.delete(mission);
  else {
    still.set(mission, reason || "no reason was given; look at the server's log");
    hear(mission);
  }
  standstills.value = still;
}

/** Live edges of all missions whose time is known, as the time conductor wants them. */
export function edges(): Record<string, bigint> {
  const now = performance.now();
  const known: Record<string, bigint> = {};
  for (const [mission, time] of times) {
    const edge = time.edge(now);
    if (edge !== null) known[mission] = edge;
  }
  return known;
}

let nextPlot = 1;

export function openPlot(mission: string, names: string[]): void {
  const id = nextPlot++;
  plots.value = [...plots.value, { id, mission, parameters: names }];
  current.value = id;
}

export function closePlot(id: number): void {
  plots.value = plots.value.filter((plot) => plot.id !== id);
  if (current.value === id) current.value = plots.value.at(-1)?.id ?? null;
}

export function removeFromPlot(id: number, name: string): void {
  const plot = plots.value.find((p) => p.id === id);
  if (!plot) return;
  const left = plot.parameters.filter((p) => p !== name);
  if (!left.length) return closePlot(id);
  plots.value = plots.value.map((p) => (p.id === id ? { ...p, parameters: left } : p));
}

/** Adds a parameter to the current plot, or opens one where that shows another mission. */
export function addToPlot(mission: string, name: string): void {
  const plot = plots.value.find((p) => p.id === current.value && p.mission === mission);
  if (!plot) return openPlot(mission, [name]);
  if (plot.parameters.includes(name)) return removeFromPlot(plot.id, name);
  plots.value = plots.value.map((p) => (p === plot ? { ...p, parameters: [...p.parameters, name] } : p));
}

export const view = computed<View>(() => ({
  mission: selected.value,
  values: container.value,
  range: range.value,
  plots: plots.value.map(({ mission, parameters: names }) => ({ mission, parameters: [...names] })),
}));

export function show(wanted: View): void {
  selected.value = wanted.mission ?? selected.value;
  container.value = wanted.values;
  if (wanted.range) range.value = wanted.range;
  plots.value = wanted.plots.map((plot) => ({ id: nextPlot++, ...plot }));
  current.value = plots.value[0]?.id ?? null;
}

const ENTRIES = 2000;

/** Puts an event or alarm on top of the list, which is bounded. */
export function enter(entry: Entry): void {
  entries.value = [entry, ...entries.value].slice(0, ENTRIES);
}

/** Takes what happened before this page listened; it holds all that the list held. */
export function recall(log: readonly Entry[]): void {
  const age = (a: Entry, b: Entry): number => (BigInt(a.received) < BigInt(b.received) ? 1 : -1);
  entries.value = [...log].sort(age).slice(0, ENTRIES);
}
