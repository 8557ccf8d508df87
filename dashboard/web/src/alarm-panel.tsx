/** The server's alarms, above what has happened: the worst first, each acknowledged with one click. */
import { signal } from "@preact/signals";
import { countText, merge, stateText, waits, type Alarm } from "./alarm-list";
import { show } from "./alarms";
import { acknowledge } from "./api";
import { numberText } from "./format";
import { boundsText, signText } from "./limits";
import type { Mission } from "./model";
import { alarms, missions, parameter, problem } from "./state";
import { instantText, timeText } from "./time";

/** What was asked of the server and not answered yet: a mission, or `mission/container/parameter`. */
const asked = signal<ReadonlySet<string>>(new Set());

/** The list doesn't change here: the server sends the new one to every page. */
async function ask(mission: string, name?: string): Promise<void> {
  const key = name === undefined ? mission : `${mission}/${name}`;
  if (asked.value.has(key)) return;
  asked.value = new Set(asked.value).add(key);
  try {
    await acknowledge(mission, name);
  } catch (error) {
    problem.value = error instanceof Error ? error.message : String(error);
  } finally {
    asked.value = new Set([...asked.value].filter((one) => one !== key));
  }
}

const missionOf = (name: string): Mission | undefined => missions.value.find((m) => m.name === name);
const titleOf = (name: string): string => missionOf(name)?.title ?? name;

function what(mission: string, { parameter: name, value, low, high }: Alarm): string {
  const unit = parameter(mission, name)?.unit;
  const bounds = boundsText(low, high);
  const measure = unit ? ` ${unit}` : "";
  const said = value === null ? "–" : `${typeof value === "number" ? numberText(value) : String(value)}${measure}`;
  return `= ${said}${bounds && ` (limit ${bounds}${measure})`}`;
}

function Line({ mission, alarm }: { mission: string; alarm: Alarm }) {
  const { parameter: name, state, severity, raised, since } = alarm;
  const absolute = missionOf(mission)?.absolute_time ?? true;
  return (
    <li
      class={`entry alarm alarm-${severity} is-${state}`}
      data-testid={`alarm-${mission}-${name}`}
      data-state={state}
    >
      <time
        title={`raised ${instantText(raised, 9, absolute)}, ${state} since ${instantText(since, 9, absolute)}`}
      >
        {timeText(raised)}
      </time>
      <span class="severity">{signText(severity)}</span>
      <span class="what">
        <b>{titleOf(mission)}</b>{" "}
        <button type="button" class="link" onClick={() => show(mission, name)}>
          {name}
        </button>{" "}
        {what(mission, alarm)} <span class="became">{stateText(alarm)}</span>
      </span>
      {waits(alarm) && (
        <button
          type="button"
          class="acknowledge"
          aria-label={`Acknowledge ${name} of ${titleOf(mission)}`}
          disabled={asked.value.has(`${mission}/${name}`)}
          onClick={() => void ask(mission, name)}
        >
          Acknowledge
        </button>
      )}
    </li>
  );
}

/** Nothing before a server that keeps alarms has sent them. */
export function AlarmList() {
  if (!alarms.value.size) return null;
  const all = merge(alarms.value);
  if (!all.length)
    return (
      <p class="alarm-head no-alarm" role="status" data-testid="no-alarm">
        ● No alarm
      </p>
    );
  const waiting = [...alarms.value].filter(([, list]) => list.some(waits));
  return (
    <section class="alarm-list" aria-label="Alarms" data-testid="alarm-list">
      <div class="alarm-head">
        <h3>
          <span role="status">{countText(all.map(({ alarm }) => alarm))}</span>
        </h3>
        {waiting.map(([mission]) => (
          <button
            key={mission}
            type="button"
            data-testid={`acknowledge-${mission}`}
            disabled={asked.value.has(mission)}
            onClick={() => void ask(mission)}
          >
            Acknowledge all{waiting.length > 1 || alarms.value.size > 1 ? ` of ${titleOf(mission)}` : ""}
          </button>
        ))}
      </div>
      <ul class="out">
        {all.map(({ mission, alarm }) => (
          <Line key={`${mission}/${alarm.parameter}`} mission={mission} alarm={alarm} />
        ))}
      </ul>
    </section>
  );
}
