/** Wires the feed and the HTTP interface to the page's state, and the state to the address. */
import { effect } from "@preact/signals";
import { fetchLatest, fetchLedger, fetchMissions, fetchParameters } from "./api";
import type { Batch, LatestRow } from "./arrow";
import { Feed, feedUrl, type Listener, type Report } from "./feed";
import { readHash, writeHash } from "./hash";
import type { Entry, Ledger, StationReport } from "./model";
import * as state from "./state";
import { firstLook } from "./tree";

/** Whoever wants live batches as they come. */
export const consumers = new Set<(batch: Batch) => void>();
/** Called after the feed came back. */
export const reconnected = new Set<() => void>();
/** Called when playback has filled a mission's history, which no live batch tells of. */
export const filled = new Set<(mission: string) => void>();

/**
 * How often (ms) definitions are looked at again: containers appear when their first packet does. So a mission that has
 * just begun to send is looked at sooner.
 */
const REFRESH_MS = 30_000;
const SOON_MS = [1000, 5000];

/** The container whose batches tell the age of a mission's data while nothing of it is on screen. */
const pulse = new Map<string, string>();

function onBatch(batch: Batch): void {
  if (!batch.rows) return;
  state.hear(batch.mission);
  let newest = batch.time[0]!;
  for (const time of batch.time) if (time > newest) newest = time;
  state.timeOf(batch.mission).received(newest, performance.now());
  state.latest.batch(batch);
  for (const consume of consumers) consume(batch);
}

/** How often (ms) plots ask for what playback has filled, and how long the store may take to have it. */
const FILL_MS = 5000;
const STORED_MS = 3000;
/** When (page's clock, ms) playback of a mission whose plots will be refreshed last came. */
const filling = new Map<string, number>();

function playedBack(mission: string): void {
  const scheduled = filling.has(mission);
  filling.set(mission, performance.now());
  if (scheduled) return;
  setTimeout(() => {
    const late = performance.now() - filling.get(mission)! < STORED_MS;
    filling.delete(mission);
    for (const refresh of filled) refresh(mission);
    if (late) playedBack(mission);
  }, FILL_MS);
}

function onLedger(ledger: Ledger): void {
  const now = performance.now();
  const before = state.ledger.value;
  for (const [mission, counts] of Object.entries(ledger.missions)) {
    if (counts.frames.in > 0) state.hear(mission);
    if (counts.packets.in > 0 && !before?.missions[mission]?.packets.in)
      for (const wait of SOON_MS) setTimeout(() => void loadMission(mission).catch(explain), wait);
    const channels = state.missions.value.find(({ name }) => name === mission)?.channels;
    for (const [key, { frames }] of Object.entries(counts.vcs)) {
      const [station, vcid] = key.split("/");
      const known = before?.missions[mission]?.vcs[key]?.frames ?? 0;
      if (!before || frames <= known) continue;
      state.activity.set(`${mission}/${station}`, now);
      if (channels?.find((channel) => channel.vcid === Number(vcid))?.mode !== "playback") continue;
      state.playback.set(`${mission}/${station}`, now);
      playedBack(mission);
    }
  }
  state.ledger.value = ledger;
}

function onEntry(entry: Entry): void {
  state.enter(entry);
  if (entry.type === "alarm")
    state.latest.alarm(entry.mission, entry.data, state.timeOf(entry.mission).lightTime);
}

export function onReport(report: Report): void {
  const { type, mission, station, data, text, replay } = report;
  if (type === "ledger") return onLedger(data as Ledger);
  if (type === "log") {
    // A server begins with it, then says how things stand: what another one said of that is over.
    state.standstills.value = new Map();
    return state.recall(data as Entry[]);
  }
  if (type === "event" || type === "alarm") return onEntry(report as Entry);
  if (type === "banner") return void (state.banner.value = text ? { text, replay: replay ?? false } : null);
  if (type === "error") return void (state.trouble.value = text ?? null);
  if (!mission) return;
  if (type === "alarms") return state.listAlarms(mission, data);
  if (type === "state") return state.run(mission, data as Parameters<typeof state.run>[1]);
  const now = performance.now();
  state.hear(mission);
  if (type === "clock") {
    const { time, rate } = data as { time: string; rate: number };
    state.timeOf(mission).hear({ time: BigInt(time), rate }, now);
  } else if (type === "station" && station) {
    const key = `${mission}/${station}`;
    state.stations.value = new Map(state.stations.value).set(key, data as StationReport);
    const shortest = [...state.stations.value]
      .filter(([name, report]) => name.startsWith(`${mission}/`) && report.light_time_s !== null)
      .map(([, report]) => report.light_time_s!);
    state.timeOf(mission).lightTime = shortest.length ? Math.min(...shortest) : 0;
  }
}

async function loadDefinitions(name: string): Promise<void> {
  const definitions = await fetchParameters(name);
  state.parameters.value = new Map(state.parameters.value).set(name, definitions);
}

async function loadLatest(name: string): Promise<LatestRow[]> {
  const rows = await fetchLatest(name);
  state.latest.rows(name, rows, state.parameters.value.get(name) ?? []);
  return rows;
}

async function loadMission(name: string): Promise<void> {
  await loadDefinitions(name);
  await loadValues(name);
}

async function loadValues(name: string): Promise<void> {
  const rows = await loadLatest(name);
  const newest = rows.reduce<(typeof rows)[number] | null>((a, b) => (a && a.time >= b.time ? a : b), null);
  if (newest) {
    state.hear(name);
    pulse.set(name, newest.parameter.split("/")[0]!);
    state.timeOf(name).stored(newest.time);
  } else {
    const first = state.parameters.value.get(name)?.[0];
    if (first && !pulse.has(name)) pulse.set(name, first.container);
  }
}

async function load(): Promise<void> {
  const list = await fetchMissions();
  state.missions.value = list;
  await Promise.all(list.map(({ name }) => loadDefinitions(name)));
  // Plots can begin without them.
  for (const { name } of list) loadValues(name).catch(explain);
  const ledger = await fetchLedger();
  if (!state.ledger.value) onLedger(ledger);
  state.problem.value = null;
}

/** A first view for those who come without a link: plots of the simulated missions in turn, and some values. */
function welcome(linked: boolean): void {
  const shown = state.visible.value;
  const first = shown[0];
  if (!state.selected.value) state.selected.value = first?.name ?? null;
  if (linked || state.plots.value.length) return;
  const simulated = shown.filter((mission) => mission.simulated);
  const looks = (simulated.length ? simulated : shown.slice(0, 1)).map(({ name }) => ({ name, plots: lookAt(name) }));
  for (let i = 0; looks.some(({ plots }) => i < plots.length); i++)
    for (const { name, plots } of looks) if (plots[i]) state.openPlot(name, plots[i]!);
  const opening = state.selected.value ?? first?.name;
  if (opening) select(opening);
}

/** On a phone each plot is a screen of its own: one is enough to begin with. */
function lookAt(mission: string): string[][] {
  const looks = firstLook(state.parameters.value.get(mission) ?? []);
  return matchMedia("(max-width: 860px)").matches ? looks.slice(0, 1) : looks;
}

/** Turns the tree and the table to a mission, and opens the first plots of it where there are none. */
export function select(mission: string): void {
  state.selected.value = mission;
  const plot = state.plots.value.find((p) => p.mission === mission);
  if (plot) state.current.value = plot.id;
  else for (const names of lookAt(mission)) state.openPlot(mission, names);
  const shown = state.plots.value.find((p) => p.mission === mission)?.parameters[0];
  state.container.value = shown?.split("/")[0] ?? state.parameters.value.get(mission)?.[0]?.container ?? null;
}

function wanted(): Set<string> {
  const keys = new Set<string>();
  for (const plot of state.plots.value)
    for (const name of plot.parameters) keys.add(`${plot.mission}/${name.split("/")[0]}`);
  if (state.selected.value && state.container.value) keys.add(`${state.selected.value}/${state.container.value}`);
  for (const { name } of state.visible.value) {
    const container = pulse.get(name);
    if (container && ![...keys].some((key) => key.startsWith(`${name}/`))) keys.add(`${name}/${container}`);
  }
  return keys;
}

const explain = (error: unknown): void => {
  state.problem.value = error instanceof Error ? error.message : String(error);
};

export async function start(): Promise<void> {
  const linked = readHash(location.hash);
  if (linked) state.show(linked);
  setInterval(() => (state.tick.value = performance.now()), 200);

  let opened = false;
  const listener: Listener = {
    connection: (connection) => {
      if (connection === "connected" && opened) {
        for (const refresh of reconnected) refresh();
        load().catch(explain);
      }
      opened ||= connection === "connected";
      state.connection.value = connection;
    },
    report: onReport,
    batch: onBatch,
    silent: (since) => (state.silentSince.value = since),
    damaged: (reason) => (state.problem.value = `A live message could not be read: ${reason}`),
  };
  const feed = new Feed(feedUrl(location), listener, state.heartbeat);
  feed.open();

  for (;;) {
    try {
      await load();
      break;
    } catch (error) {
      explain(error);
      await new Promise((wake) => setTimeout(wake, 2000));
    }
  }
  let welcomed = false;
  effect(() => {
    if (welcomed || !state.visible.value.length) return;
    welcomed = true;
    queueMicrotask(() => welcome(linked !== null));
  });
  effect(() => feed.subscribe(wanted()));
  // What nobody watched has grown old here; a slow container would show it until its next packet.
  effect(() => {
    const mission = state.selected.value;
    if (mission !== null && state.container.value !== null) void loadLatest(mission).catch(explain);
  });
  effect(() => {
    const hash = writeHash(state.view.value);
    if (hash !== location.hash) history.replaceState(null, "", hash);
  });
  addEventListener("hashchange", () => {
    const view = readHash(location.hash);
    if (view && writeHash(view) !== writeHash(state.view.value)) state.show(view);
  });
  const refresh = (): Promise<unknown> => Promise.all(state.visible.value.map(({ name }) => loadDefinitions(name)));
  setInterval(() => void refresh().catch(explain), REFRESH_MS);
}
