/**
 * What is out of limits now, whether or not this page was open when it went there. Of missions whose alarms the server
 * keeps, its list says so; of the others, their newest values.
 */
import { countText } from "./alarm-list";
import { valueText } from "./format";
import { rank, sign, signText, type State } from "./limits";
import type { Mission, Parameter } from "./model";
import { select } from "./session";
import { alarms, container, entries, latest, parameters, tick, visible } from "./state";
import { instantText, timeText, type Ns } from "./time";

interface Out {
  parameter: Parameter;
  state: State;
}

/** The parameters of a mission whose newest value is out of limits, the worst first. */
function outOf(mission: string): Out[] {
  return (parameters.value.get(mission) ?? [])
    .filter((parameter) => parameter.limits.length)
    .map((parameter) => ({ parameter, state: latest.state(mission, parameter) ?? "normal" }))
    .filter(({ state }) => state !== "normal")
    .sort((a, b) => rank(b.state) - rank(a.state));
}

/** When a parameter last changed its severity, if that is still known. */
function since(mission: string, parameter: Parameter): Ns | null {
  const entry = entries.value.find(
    (e) => e.type === "alarm" && e.mission === mission && e.data.parameter === parameter.name,
  );
  return entry ? BigInt(entry.data.time) : null;
}

/** Turns the table of values to a parameter, `container/parameter`. */
export function show(mission: string, parameter: string): void {
  select(mission);
  container.value = parameter.split("/")[0]!;
}

/** A button on the mission's card that says how bad it is, and leads there. */
export function AlarmBadge({ mission }: { mission: Mission }) {
  void tick.value;
  const list = alarms.value.get(mission.name);
  const raised = list?.filter(({ state }) => state !== "shelved");
  const all = raised
    ? raised.map(({ parameter, severity }) => ({ name: parameter, severity }))
    : outOf(mission.name).map(({ parameter, state }) => ({ name: parameter.name, severity: state }));
  const worst = all[0];
  if (!worst) return null;
  return (
    <button
      type="button"
      class={`badge limit-${worst.severity}`}
      title={all.map(({ name, severity }) => `${signText(severity)}: ${name}`).join("\n")}
      data-testid={`alarms-${mission.name}`}
      onClick={() => show(mission.name, worst.name)}
    >
      <span class="state">
        {sign(worst.severity)} {raised ? countText(raised) : `${all.length} out of limits`}
      </span>
    </button>
  );
}

function Line({ mission, out: { parameter, state } }: { mission: Mission; out: Out }) {
  const known = latest.get(mission.name, parameter.name)!;
  const begun = since(mission.name, parameter);
  const time = begun ?? known.time;
  return (
    <li class={`entry alarm-${state}`} data-testid={`out-${mission.name}-${parameter.name}`}>
      <time title={instantText(time, 9, mission.absolute_time)}>
        {begun === null ? "by " : ""}
        {timeText(time)}
      </time>
      <span class="severity">{signText(state)}</span>
      <span class="what">
        <b>{mission.title}</b>{" "}
        <button type="button" class="link" onClick={() => show(mission.name, parameter.name)}>
          {parameter.name}
        </button>{" "}
        = {valueText(known.value, parameter)} {parameter.unit}
      </span>
    </li>
  );
}

/** All of them, above what has happened; the others are in the list of alarms. */
export function OutOfLimits() {
  void tick.value;
  const judged = visible.value.filter(({ name }) => !alarms.value.has(name));
  const all = judged.flatMap((mission) => outOf(mission.name).map((out) => ({ mission, out })));
  if (!all.length) return null;
  return (
    <ul class="out" aria-label="Out of limits now" data-testid="out-of-limits">
      {all.map(({ mission, out }) => (
        <Line key={`${mission.name}:${out.parameter.name}`} mission={mission} out={out} />
      ))}
    </ul>
  );
}
