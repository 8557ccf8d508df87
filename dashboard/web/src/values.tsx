import { Expired } from "./expired";
import { exactText, valueText } from "./format";
import { sign, signText } from "./limits";
import type { Parameter } from "./model";
import {
  ageEdge,
  byName,
  container,
  latest,
  missions,
  parameters,
  plots,
  selected,
  selectedMission,
  tick,
  timeOf,
} from "./state";
import { durationText, secondsBetween, timeText, instantText } from "./time";

interface RowProps {
  mission: string;
  parameter: Parameter;
  full: boolean;
}

function Row({ mission, parameter, full }: RowProps) {
  const known = latest.get(mission, parameter.name);
  const value = known?.value ?? null;
  const time = timeOf(mission);
  const edge = ageEdge(mission, tick.value);
  const age = known && edge !== null ? Math.max(0, secondsBetween(edge, known.time)) : null;
  const expired = latest.expired(mission, parameter, edge, time.rate);
  const state = latest.state(mission, parameter);
  const found = missions.value.find((m) => m.name === mission);
  const absolute = found?.absolute_time ?? true;
  return (
    <tr class={`${expired ? "expired" : ""} ${state ? `limit-${state}` : ""}`}>
      <th scope="row" title={`${parameter.name}\n${parameter.description}`}>
        {parameter.parameter} {full && <small>{found?.title ?? mission}</small>}
      </th>
      <td
        class={parameter.kind === "time" ? "value instant" : "value"}
        data-testid={`value-${parameter.name}`}
        data-mission={mission}
        data-time={known ? String(known.time) : ""}
        data-value={exactText(value)}
        title={exactText(value)}
      >
        {valueText(value, parameter)} {parameter.unit && value !== null && <small>{parameter.unit}</small>}
      </td>
      <td class="scet" title={known ? instantText(known.time, 9, absolute) : undefined}>
        {known ? timeText(known.time, 1) : "–"}
      </td>
      <td class="age">
        {expired && <Expired />}
        {age === null ? "–" : shortAge(age)}
      </td>
      <td class="state">
        {state && <span title={signText(state)}>{state === "normal" ? `${sign(state)} ok` : signText(state)}</span>}
      </td>
    </tr>
  );
}

const shortAge = (seconds: number): string =>
  seconds < 60 ? `${Math.floor(seconds)} s` : durationText(Math.floor(seconds / 60) * 60);

export function ValuePanel() {
  void tick.value;
  const mission = selectedMission.value;
  const all = (mission && parameters.value.get(mission.name)) || [];
  const containers = [...new Set(all.map((p) => p.container))];
  const chosen = container.value;
  const rows: RowProps[] =
    chosen === null
      ? plots.value.flatMap((plot) =>
          plot.parameters
            .map((name) => byName.value.get(plot.mission)?.get(name))
            .filter((p) => p !== undefined)
            .map((parameter) => ({ mission: plot.mission, parameter, full: true })),
        )
      : all
          .filter((p) => p.container === chosen)
          .map((parameter) => ({ mission: mission!.name, parameter, full: false }));
  const unique = [...new Map(rows.map((row) => [`${row.mission}:${row.parameter.name}`, row])).values()];
  return (
    <section class="panel values" aria-label="Values" data-testid="values">
      <div class="panel-head">
        <h2>Values</h2>
        <span class="spacer" />
        <label>
          <span class="visually-hidden">Values of</span>
          <select
            value={chosen ?? ""}
            disabled={!selected.value}
            onChange={(event) => (container.value = event.currentTarget.value || null)}
          >
            <option value="">All plotted parameters</option>
            {containers.map((name) => (
              <option key={name} value={name}>
                {mission?.title}: {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      <div class="scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Parameter</th>
              <th scope="col" class="value">
                Value
              </th>
              <th scope="col" class="scet">SCET</th>
              <th scope="col">Age</th>
              <th scope="col">Limits</th>
            </tr>
          </thead>
          <tbody>
            {unique.map((row) => (
              <Row key={`${row.mission}:${row.parameter.name}`} {...row} />
            ))}
          </tbody>
        </table>
        {!unique.length && <p class="empty">Nothing is plotted. Choose a container above.</p>}
      </div>
    </section>
  );
}
