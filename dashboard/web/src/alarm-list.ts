/** The alarms as the server has them: whoever acknowledges one does so for every page. */
import { rank, type State } from "./limits";
import type { Ns } from "./time";

/** After ISA-18.2. `returned`: back within its limits before anybody acknowledged it. */
export type AlarmState = "normal" | "unacknowledged" | "acknowledged" | "returned" | "shelved";

export interface Alarm {
  /** `container/parameter` */
  parameter: string;
  state: AlarmState;
  severity: State;
  value: number | string | boolean | null;
  low: number | null;
  high: number | null;
  /** Since when it is in this state, and when it was raised: onboard time. */
  since: Ns;
  raised: Ns;
  operator: string | null;
  comment: string | null;
}

const STATES: readonly string[] = ["normal", "unacknowledged", "acknowledged", "returned", "shelved"];

/** Order within a severity: what waits for somebody comes first. */
const URGENCY: readonly AlarmState[] = ["unacknowledged", "returned", "acknowledged", "shelved"];

export const waits = ({ state }: Alarm): boolean => state === "unacknowledged" || state === "returned";

/** How many there are and how many wait: "3 alarms, 1 unacknowledged". */
export function countText(alarms: readonly Alarm[]): string {
  const waiting = alarms.filter(waits).length;
  return `${alarms.length} ${alarms.length === 1 ? "alarm" : "alarms"}${waiting ? `, ${waiting} unacknowledged` : ""}`;
}

/** What has become of an alarm, in words. */
export function stateText({ state, operator, comment }: Alarm): string {
  const by = `${operator ? ` by ${operator}` : ""}${comment ? `: ${comment}` : ""}`;
  if (state === "returned") return "back within limits, unacknowledged";
  return state === "unacknowledged" ? state : `${state}${by}`;
}

/** The alarms of several missions in one list, in the same order. */
export const merge = (lists: ReadonlyMap<string, readonly Alarm[]>): { mission: string; alarm: Alarm }[] =>
  [...lists]
    .flatMap(([mission, list]) => list.map((alarm) => ({ mission, alarm })))
    .sort((a, b) => byUrgency(a.alarm, b.alarm));

/**
 * The alarms of a mission's list that aren't normal, worst first; what is shelved was put aside and comes last. Throws
 * TypeError or SyntaxError where the list can't be read: part of it would pass for all.
 */
export function readAlarms(data: unknown): Alarm[] {
  if (!Array.isArray(data)) throw new TypeError("the list of alarms is no list");
  return (data as Record<string, unknown>[])
    .filter(({ state }) => state !== "normal")
    .map(readAlarm)
    .sort(byUrgency);
}

function readAlarm(entry: Record<string, unknown>): Alarm {
  const { parameter, state } = entry;
  if (typeof parameter !== "string" || !STATES.includes(state as string))
    throw new TypeError(`an alarm of ${String(parameter)} in the state ${String(state)}`);
  const since = BigInt(entry.since as string);
  return {
    parameter,
    state: state as AlarmState,
    severity: (entry.severity as State | null | undefined) ?? "normal",
    value: (entry.value as Alarm["value"] | undefined) ?? null,
    low: (entry.low as number | null | undefined) ?? null,
    high: (entry.high as number | null | undefined) ?? null,
    since,
    raised: entry.raised === null || entry.raised === undefined ? since : BigInt(entry.raised as string),
    operator: (entry.operator as string | null | undefined) || null,
    comment: (entry.comment as string | null | undefined) || null,
  };
}

function byUrgency(a: Alarm, b: Alarm): number {
  return (
    Number(a.state === "shelved") - Number(b.state === "shelved") ||
    rank(b.severity) - rank(a.severity) ||
    URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state) ||
    (a.raised === b.raised ? 0 : a.raised > b.raised ? -1 : 1) ||
    (a.parameter < b.parameter ? -1 : 1)
  );
}
