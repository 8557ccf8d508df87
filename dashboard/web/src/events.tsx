import { numberText } from "./format";
import { boundsText, signText } from "./limits";
import { AlarmList } from "./alarm-panel";
import { OutOfLimits } from "./alarms";
import type { AlarmReport, Entry, EventReport } from "./model";
import { entries, missions, parameter } from "./state";
import { instantText, timeText, toIso } from "./time";

const EVENT_SIGNS: Record<EventReport["severity"], string> = { info: "ℹ info", warning: "▲ warning", error: "■ error" };

function alarmText(mission: string, alarm: AlarmReport): string {
  const known = parameter(mission, alarm.parameter);
  const unit = known?.unit ? ` ${known.unit}` : "";
  const value = typeof alarm.value === "number" ? numberText(alarm.value) : String(alarm.value);
  const bounds = boundsText(alarm.low, alarm.high);
  const back = alarm.severity === "normal" ? `back within limits, was ${alarm.previous}` : `limit ${bounds}${unit}`;
  return `${alarm.parameter} = ${value}${unit} (${back})`;
}

function Line({ entry }: { entry: Entry }) {
  const { type, mission, data } = entry;
  const found = missions.value.find((m) => m.name === mission);
  const time = BigInt(data.time);
  return (
    <li class={`entry ${type}-${data.severity}`}>
      <time title={`${instantText(time, 9, found?.absolute_time ?? true)}, here at ${toIso(BigInt(entry.received))}`}>
        {timeText(time)}
      </time>
      <span class="severity">
        {type === "alarm" ? signText(entry.data.severity) : EVENT_SIGNS[entry.data.severity]}
      </span>
      <span class="what">
        <b>{found?.title ?? mission}</b>{" "}
        {type === "alarm" ? alarmText(mission, entry.data) : `${entry.data.source}: ${entry.data.text}`}
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
        <span class="muted">newest first</span>
      </div>
      <div class="scroll" tabIndex={0}>
        <AlarmList />
        <OutOfLimits />
        <ol>
          {entries.value.map((entry) => (
            <Line key={`${entry.received} ${entry.mission}`} entry={entry} />
          ))}
          {!entries.value.length && <li class="empty">Nothing has happened yet.</li>}
        </ol>
      </div>
    </section>
  );
}
