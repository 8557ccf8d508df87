/** What is out of limits now, whether or not this page was open when it went there. */
import { valueText } from "./format";
import { rank, sign, signText, type State } from "./limits";
import type { Mission, Parameter } from "./model";
import { select } from "./session";
import { container, entries, latest, parameters, tick, visible } from "./state";
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

function show(mission: string, parameter: Parameter): void {
  select(mission);
  container.value = parameter.container;
}

/** A button on the mission's card that says how bad it is, and leads there. */
export function AlarmBadge({ mission }: { mission: Mission }) {
  void tick.value;
  const out = outOf(mission.name);
  const worst = out[0];
  if (!worst) return null;
  return (
    <button
      type="button"
      class={`badge limit-${worst.state}`}
      title={out.map(({ parameter, state }) => `${signText(state)}: ${parameter.name}`).join("\n")}
      data-testid={`alarms-${mission.name}`}
      onClick={() => show(mission.name, worst.parameter)}
    >
      <span class="state">
        {sign(worst.state)} {out.length} out of limits
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
        <button type="button" class="link" onClick={() => show(mission.name, parameter)}>
          {parameter.name}
        </button>{" "}
        = {valueText(known.value, parameter)} {parameter.unit}
      </span>
    </li>
  );
}

/** All of them, above what has happened. */
export function OutOfLimits() {
  void tick.value;
  const all = visible.value.flatMap((mission) => outOf(mission.name).map((out) => ({ mission, out })));
  if (!all.length) return null;
  return (
    <ul class="out" aria-label="Out of limits now" data-testid="out-of-limits">
      {all.map(({ mission, out }) => (
        <Line key={`${mission.name}:${out.parameter.name}`} mission={mission} out={out} />
      ))}
    </ul>
  );
}
