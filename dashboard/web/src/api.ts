/** The dashboard's HTTP interface. */
import { readHistory, readLatest, type History, type LatestRow } from "./arrow";
import type { Window } from "./conductor";
import type { Ledger, Mission, Parameter } from "./model";
import type { Ns } from "./time";

async function get(path: string, signal?: AbortSignal, accept = "application/json"): Promise<Response> {
  const response = await fetch(path, { headers: { accept }, ...(signal && { signal }) });
  if (!response.ok) throw new Error(`${path.split("?")[0]} answered ${response.status} ${response.statusText}`);
  return response;
}

const json = async <T>(path: string): Promise<T> => (await get(path)).json() as Promise<T>;

async function arrow(path: string, signal?: AbortSignal): Promise<Uint8Array> {
  const response = await get(path, signal, "application/vnd.apache.arrow.stream");
  return new Uint8Array(await response.arrayBuffer());
}

const of = (mission: string): string => `/api/missions/${encodeURIComponent(mission)}`;

export const fetchMissions = (): Promise<Mission[]> => json("/api/missions");
export const fetchParameters = (mission: string): Promise<Parameter[]> => json(`${of(mission)}/parameters`);
export const fetchLedger = (): Promise<Ledger> => json("/api/ledger");

/** Samples of `parameters` in [start, stop), reduced to `buckets` where there are more. */
export async function fetchHistory(
  mission: string,
  parameters: readonly string[],
  window: { start: Ns; stop: Ns; buckets: number },
  signal: AbortSignal,
): Promise<History> {
  const query = new URLSearchParams(parameters.map((name) => ["parameter", name]));
  query.set("start", String(window.start));
  query.set("stop", String(window.stop));
  query.set("buckets", String(window.buckets));
  return readHistory(await arrow(`${of(mission)}/history?${query}`, signal));
}

/** Where every sample of some parameters of one container in a window can be had as a file. */
export function rowsUrl(
  mission: string,
  container: string,
  parameters: readonly string[],
  [start, stop]: Window,
  format: string,
): string {
  const query = new URLSearchParams(parameters.map((name) => ["parameter", name.slice(container.length + 1)]));
  query.set("start", String(start));
  query.set("stop", String(stop));
  query.set("format", format);
  return `${of(mission)}/rows/${encodeURIComponent(container)}?${query}`;
}

/** The newest sample of every parameter of a mission. */
export async function fetchLatest(mission: string): Promise<LatestRow[]> {
  return readLatest(await arrow(`${of(mission)}/latest`));
}

/** Acknowledges one alarm, or without a parameter all of a mission. Throws an Error that says why it was refused. */
export async function acknowledge(mission: string, parameter?: string): Promise<void> {
  const cut = parameter?.indexOf("/") ?? -1;
  const levels = parameter === undefined ? [] : [parameter.slice(0, cut), parameter.slice(cut + 1)];
  const one = levels.map((level) => `/${encodeURIComponent(level)}`).join("");
  const what = parameter === undefined ? `The alarms of ${mission}` : `The alarm of ${mission}'s ${parameter}`;
  let response: Response;
  try {
    response = await fetch(`${of(mission)}/alarms${one}/acknowledge`, {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/json" },
      body: "{}",
    });
  } catch {
    throw new Error(`${what} could not be acknowledged: there is no connection to the server. Try again.`);
  }
  if (response.ok) return;
  const answer = (await response.json().catch(() => null)) as { detail?: unknown } | null;
  const why = typeof answer?.detail === "string" ? answer.detail : `${response.status} ${response.statusText}`.trim();
  throw new Error(`${what} could not be acknowledged: ${why}`);
}
