import type { ComponentChildren } from "preact";
import { integerText } from "./format";
import type { Ledger, Mission, MissionLedger } from "./model";
import { ledger, missions } from "./state";
import { durationText } from "./time";

/** What the reasons of rejects mean; the others speak for themselves. */
const REASONS: Record<string, string> = {
  length: "not a whole number of frames (length)",
  fecf: "damaged on the way (FECF)",
  version: "another frame version",
  spacecraft: "another spacecraft",
  "no container": "no container fits",
  "too short": "shorter than their container",
  "no time": "without a time",
};

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);

interface CountProps {
  label: string;
  value: number | string | undefined;
  bad?: boolean;
  id?: string;
}

function Count({ label, value, bad = false, id }: CountProps) {
  return (
    <div class={`count ${bad ? "bad" : ""}`}>
      <dt>{label}</dt>
      <dd data-testid={id}>{typeof value === "number" ? integerText(value) : (value ?? "–")}</dd>
    </div>
  );
}

/** One stage: what came in beside what became of it. */
function Stage({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="stage">
      <h4>{name}</h4>
      <dl>{children}</dl>
    </div>
  );
}

/** What did not go through, each with its cause. */
function Causes({ what, counts }: { what: string; counts: Record<string, number> }) {
  const named = Object.entries(counts).filter(([, n]) => n > 0);
  if (!named.length) return null;
  return (
    <p class="cause bad">
      ▲ {what}: {named.map(([cause, n]) => `${integerText(n)} ${REASONS[cause] ?? cause}`).join(", ")}
    </p>
  );
}

/** "Bear Lakes / 1 Playback" for `bear-lakes/1`. */
function channelText(mission: Mission | undefined, key: string): string {
  const [station = "", vcid = ""] = key.split("/");
  const title = mission?.stations.find(({ name }) => name === station)?.title ?? station;
  const channel = mission?.channels.find((c) => c.vcid === Number(vcid));
  return `${title} / ${vcid}${channel ? ` ${channel.name}` : ""}`;
}

function MissionCounts({ name, counts }: { name: string; counts: MissionLedger }) {
  const { frames, packets, rows, vcs, pending, missing } = counts;
  const { refused = 0 } = rows;
  const { nonfinite = 0 } = counts;
  const mission = missions.value.find((m) => m.name === name);
  const title = mission?.title ?? name;
  const rejected = sum(frames.rejected);
  const undecoded = sum(packets.undecoded);
  const id = (what: string): string => `ledger-${name}-${what}`;
  return (
    <section class="mission-ledger" data-testid={`ledger-${name}`}>
      <h3>{title}</h3>
      <Stage name="Frames">
        <Count label="in" value={frames.in} id={id("frames-in")} />
        <Count label="good" value={frames.good} id={id("frames-good")} />
        <Count label="duplicate" value={frames.duplicate} id={id("duplicate")} />
        <Count label="rejected" value={rejected} bad={rejected > 0} id={id("rejected")} />
      </Stage>
      <Causes what="Rejected" counts={frames.rejected} />
      {missing > 0 && (
        <p class="cause bad">▲ {integerText(missing)} more were sent by the station and dropped before they came here</p>
      )}
      <Stage name="Packets">
        <Count label="in" value={packets.in} id={id("packets")} />
        <Count label="decoded" value={packets.decoded} id={id("decoded")} />
        <Count label="idle" value={packets.idle} />
        <Count label="undecoded" value={undecoded} bad={undecoded > 0} id={id("undecoded")} />
      </Stage>
      <Causes what="Undecoded" counts={packets.undecoded} />
      <Stage name="Rows">
        <Count label="stored" value={rows.stored} id={id("rows")} />
        <Count label="repeated" value={rows.repeated} id={id("repeated")} />
        <Count label="refused" value={refused} bad={refused > 0} id={id("refused")} />
        <Count label="pending" value={pending} id={id("pending")} />
      </Stage>
      {refused > 0 && (
        <p class="cause bad">
          ▲ Refused: {integerText(refused)} have a time or a value that the database has no room for; the recording has
          them
        </p>
      )}
      {nonfinite > 0 && (
        <p class="cause">
          {integerText(nonfinite)} values are NaN or infinite, which the database cannot hold: stored as no value
        </p>
      )}
      <table class="vcs">
        <thead>
          <tr>
            <th scope="col">Station / channel</th>
            <th scope="col">Frames</th>
            <th scope="col">Packets</th>
            <th scope="col" title="Breaks in the channel's frame count">
              Gaps
            </th>
            <th scope="col" title="Frames that the breaks swallowed">
              Lost
            </th>
            <th scope="col" title="Frames that were sent while this station heard nothing for a minute or more">
              Unheard
            </th>
            <th scope="col" title="Packets that lost a part in a break">
              Cut
            </th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(vcs).map(([channel, vc]) => (
            <tr key={channel}>
              <th scope="row" title={channel}>
                {channelText(mission, channel)}
              </th>
              <td>{integerText(vc.frames)}</td>
              <td>{integerText(vc.packets)}</td>
              <td class={vc.gaps ? "bad" : ""}>{integerText(vc.gaps)}</td>
              <td class={vc.lost ? "bad" : ""}>{integerText(vc.lost)}</td>
              <td>{integerText(vc.unheard)}</td>
              <td class={vc.dropped ? "bad" : ""}>{integerText(vc.dropped)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The stages that all missions share. Rows on their way to the store are no fault, a store that refuses is. */
function Service({ now }: { now: Ledger }) {
  const { link, position, store, unrouted, damage } = now;
  const joined = link?.state === "connected";
  return (
    <section class="service">
      {link && (
        <Stage name="Broker">
          <Count label="state" value={link.state} bad={!joined} id="ledger-broker" />
          <Count label="received" value={link.received} />
          <Count label="acknowledged" value={link.acknowledged} />
          <Count label="errors" value={link.protocol_errors} bad={(link.protocol_errors ?? 0) > 0} />
        </Stage>
      )}
      {link?.recording_error && <p class="cause bad">▲ Not recorded: {link.recording_error}</p>}
      <Stage name="Messages">
        <Count label="recorded" value={position.recorded} id="ledger-recorded" />
        <Count label="processed" value={position.processed} id="ledger-processed" />
        <Count label="stored" value={position.stored} id="ledger-stored" />
        <Count label="store behind" value={store.behind_s ? durationText(store.behind_s) : "–"} bad={!!store.error} />
      </Stage>
      {store.error && <p class="cause bad">▲ The store refuses: {store.error}</p>}
      <Causes what="Not ours" counts={unrouted} />
      {damage.map((text) => (
        <p key={text} class="cause bad">
          ▲ Damage in the recording, stepped over: {text}
        </p>
      ))}
    </section>
  );
}

export function LedgerPanel() {
  const now = ledger.value;
  return (
    <section
      class="panel ledger"
      aria-label="Ledger"
      data-testid="ledger"
      data-balanced={now ? String(now.balanced) : ""}
    >
      <div class="panel-head">
        <h2>Ledger</h2>
        <span class="spacer" />
        {now && (
          <span class={now.balanced ? "balanced" : "unbalanced"}>
            {now.balanced ? "● balanced: every frame is accounted for" : "▲ not balanced: frames are unaccounted for"}
          </span>
        )}
      </div>
      <div class="scroll" tabIndex={0}>
        {now ? (
          <>
            <Service now={now} />
            {Object.entries(now.missions).map(([name, counts]) => (
              <MissionCounts key={name} name={name} counts={counts} />
            ))}
          </>
        ) : (
          <p class="empty">No counts have come yet.</p>
        )}
      </div>
    </section>
  );
}
