import { useComputed } from "@preact/signals";
import { numberText } from "./format";
import { AlarmBadge } from "./alarms";
import { LINK_SIGNS, delivers, linkState, noContact } from "./link";
import type { Mission, StationInfo, StationReport } from "./model";
import { select } from "./session";
import {
  activity,
  ageEdge,
  banner,
  judged,
  ledger,
  playback,
  selected,
  standstills,
  stations,
  tick,
  timeOf,
  visible,
} from "./state";
import { countdownText, dateText, durationText, secondsBetween, timeText } from "./time";

function Clock({ mission }: { mission: Mission }) {
  const text = useComputed(() => {
    const now = timeOf(mission.name).now(judged.value);
    return now === null ? "--:--:--" : timeText(now);
  });
  const date = useComputed(() => {
    const now = timeOf(mission.name).now(judged.value);
    return now === null ? "no data yet" : dateText(now, mission.absolute_time);
  });
  const scale = useComputed(() => {
    const running = timeOf(mission.name).running(judged.value);
    if (timeOf(mission.name).now(judged.value) === null) return "";
    if (!mission.absolute_time) return "onboard time";
    if (!timeOf(mission.name).hasClock) return "UTC of newest data";
    return running ? "UTC" : "UTC, clock stopped";
  });
  return (
    <div class="clock" data-testid={`clock-${mission.name}`}>
      <b>{text}</b>
      <span>
        {date} <em>{scale}</em>
      </span>
    </div>
  );
}

function Age({ mission }: { mission: Mission }) {
  const text = useComputed(() => {
    const time = timeOf(mission.name);
    const edge = ageEdge(mission.name, tick.value);
    if (edge === null || time.newest === null || !time.hasClock) return "–";
    const age = Math.max(0, secondsBetween(edge, time.newest));
    return age < 10 ? `${age.toFixed(1)} s` : durationText(Math.floor(age));
  });
  return (
    <Metric
      label="Data age"
      value={text}
      title="Mission time less the light time, less the time of the newest sample"
    />
  );
}

interface MetricProps {
  label: string;
  value: string | { value: string };
  unit?: string;
  title?: string;
}

function Metric({ label, value, unit, title }: MetricProps) {
  return (
    <div class="metric" title={title}>
      <dt>{label}</dt>
      <dd>
        {value as string}
        {unit && value !== "–" && <small> {unit}</small>}
      </dd>
    </div>
  );
}

const number = (value: number | null | undefined, digits: number): string =>
  value === null || value === undefined ? "–" : numberText(value, digits);

/** The mission's stations, and those that only the ledger knows: somebody published frames in their name. */
function stationsOf(mission: Mission): Pick<StationInfo, "name" | "title">[] {
  const counted = Object.keys(ledger.value?.missions[mission.name]?.vcs ?? {}).map((channel) => channel.split("/")[0]!);
  const known = new Set(mission.stations.map(({ name }) => name));
  const others = [...new Set(counted)].filter((name) => !known.has(name)).map((name) => ({ name, title: name }));
  return [...mission.stations, ...others];
}

interface Listening {
  info: Pick<StationInfo, "name" | "title">;
  report: StationReport | undefined;
  /** Seconds since frames came from it; null where none came since the page opened. */
  silence: number | null;
  /** Whether what the spacecraft recorded comes, too. */
  plays: boolean;
}

function Station(of: Listening & { mission: Mission; relieved: boolean }) {
  const { mission, info, report, silence, relieved, plays } = of;
  const now = judged.value;
  const { kind, text } = linkState(report, silence, now / 1000, relieved, plays);
  const missionNow = timeOf(mission.name).now(now);
  const next = report?.next;
  const left = next && missionNow !== null ? secondsBetween(BigInt(next.time), missionNow) : null;
  return (
    <li class={`station link-${kind}`}>
      <i aria-hidden="true">{LINK_SIGNS[kind]}</i>
      <span class="name">{report?.station ?? info.title}</span>
      <span class="why">{text}</span>
      {next && left !== null && (
        <span class="next">
          {next.event}{" "}
          {left > 0 ? (
            <>
              in <b>{countdownText(left)}</b>
            </>
          ) : (
            "now"
          )}
        </span>
      )}
    </li>
  );
}

/** That no station can hear it: the silence that nobody has to look into. */
function NoContact({ mission, reports }: { mission: Mission; reports: StationReport[] }) {
  const contact = noContact(reports);
  if (!contact) return null;
  const now = timeOf(mission.name).now(judged.value);
  const { why, next } = contact;
  return (
    <p class="silent" role="status" data-testid={`no-contact-${mission.name}`}>
      ○ No contact: {why}.
      {next && now !== null && (
        <>
          {" "}
          Next AOS <b>{timeText(next.time)}</b> {next.station}, in {countdownText(secondsBetween(next.time, now))}.
        </>
      )}
      {mission.channels.some(({ mode }) => mode === "playback") && " What it records meanwhile comes by playback."}
    </p>
  );
}

/** Why a simulated mission is silent as a whole; null where it isn't. */
function silenceOf(mission: Mission): string | null {
  if (!mission.simulated || banner.value?.replay) return null;
  const time = timeOf(mission.name);
  if (time.stopped(judged.value)) return "No data: the simulator has stopped, and its clock with it.";
  if (!time.hasClock && judged.value > GRACE_MS) return "No data: no simulator of this mission is running.";
  return null;
}

/** Time (ms) after the page's opening within which the mission clock should have been heard. */
const GRACE_MS = 3000;

function Card({ mission }: { mission: Mission }) {
  const since = (heard: number | undefined): number | null =>
    heard === undefined ? null : (judged.value - heard) / 1000;
  const all = stationsOf(mission).map((info): Listening => {
    const key = `${mission.name}/${info.name}`;
    return {
      info,
      report: stations.value.get(key),
      silence: since(activity.get(key)),
      plays: delivers(since(playback.get(key))),
    };
  });
  const relieved = all.some(({ silence }) => delivers(silence));
  const reporting = all.filter(({ report }) => report);
  const best = (
    reporting.find(({ silence }) => delivers(silence)) ??
    reporting.find(({ report }) => report!.in_view) ??
    reporting[0]
  )?.report;
  const silent = relieved ? null : silenceOf(mission);
  const still = standstills.value.get(mission.name);
  const active = selected.value === mission.name;
  return (
    <section
      class={`card ${active ? "active" : ""} ${best ? "" : "brief"} ${still === undefined ? "" : "still"}`}
      data-testid={`mission-card-${mission.name}`}
    >
      <div class="card-head">
        <button type="button" aria-pressed={active} title={mission.description} onClick={() => select(mission.name)}>
          {mission.title}
        </button>
        {mission.simulated && <span class="tag">simulated</span>}
        <AlarmBadge mission={mission} />
        <Clock mission={mission} />
      </div>
      {still !== undefined && (
        <p class="standstill" role="alert" data-testid={`standstill-${mission.name}`}>
          <b>■ Stands still:</b> {still}
        </p>
      )}
      <dl class="metrics">
        {best && (
          <>
            <Metric
              label="Light time"
              value={best.light_time_s === null ? "–" : durationText(best.light_time_s)}
              title="One way"
            />
            <Metric label="Range" value={number(best.range_km, 7)} unit="km" />
            <Metric label="Doppler" value={number(best.doppler_hz, 5)} unit="Hz" />
            <Metric label="Elevation" value={number(best.elevation_deg, 3)} unit="°" />
            <Metric label="Eb/N0" value={best.in_view ? number(best.eb_n0_db, 3) : "–"} unit="dB" />
          </>
        )}
        <Age mission={mission} />
      </dl>
      {silent ? (
        <p class="silent" role="status">
          {silent}
        </p>
      ) : (
        <>
          <NoContact mission={mission} reports={reporting.map(({ report }) => report!)} />
          <ul class="stations">
            {all.map((one) => (
              <Station key={one.info.name} mission={mission} relieved={relieved} {...one} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

export function MissionCards() {
  return (
    <nav class="cards" aria-label="Missions">
      {visible.value.map((mission) => (
        <Card key={mission.name} mission={mission} />
      ))}
    </nav>
  );
}
