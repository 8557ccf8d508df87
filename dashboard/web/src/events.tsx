import { numberText } from "./format";
import { signText } from "./limits";
import type { AlarmReport, EventReport } from "./model";
import { entries, missions, parameter, type Entry } from "./state";
import { instantText, timeText } from "./time";

const EVENT_SIGNS: Record<EventReport["severity"], string> = { info: "ℹ info", warning: "▲ warning", error: "■ error" };

function alarmText(mission: string, alarm: AlarmReport): string {
  const known = parameter(mission, alarm.parameter);
  const unit = known?.unit ? ` ${known.unit}` : "";
  const value = typeof alarm.value === "number" ? numberText(alarm.value) : String(alarm.value);
  const { low, high } = alarm;
  const bounds =
    low !== null && high !== null
      ? `${low} … ${high}`
      : low !== null
        ? `at least ${low}`
        : high !== null
          ? `at most ${high}`
          : "";
  const back = alarm.severity === "normal" ? `back within limits, was ${alarm.previous}` : `limit ${bounds}${unit}`;
  return `${alarm.parameter} = ${value}${unit} (${back})`;
}

function Line({ entry }: { entry: Entry }) {
  const { report, mission } = entry;
  const found = missions.value.find((m) => m.name === mission);
  const time = BigInt(report.data.time);
  return (
    <li class={`entry ${report.kind}-${report.data.severity}`}>
      <time title={instantText(time, 9, found?.absolute_time ?? true)}>{timeText(time)}</time>
      <span class="severity">
        {report.kind === "alarm" ? signText(report.data.severity) : EVENT_SIGNS[report.data.severity]}
      </span>
      <span class="what">
        <b>{found?.title ?? mission}</b>{" "}
        {report.kind === "alarm" ? alarmText(mission, report.data) : `${report.data.source}: ${report.data.text}`}
      </span>
    </li>
  );
}

export function EventPanel() {
  return (
    <section class="panel events" aria-label="Events and alarms" data-testid="events">
      <div class="panel-head">
        <h2>Events and alarms</h2>
        <span class="spacer" />
        <span class="muted">since this page opened, newest first</span>
      </div>
      <ol class="scroll" tabIndex={0}>
        {entries.value.map((entry) => (
          <Line key={entry.key} entry={entry} />
        ))}
        {!entries.value.length && <li class="empty">Nothing has happened yet.</li>}
      </ol>
    </section>
  );
}
