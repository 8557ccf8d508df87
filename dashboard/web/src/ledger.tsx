import { integerText } from "./format";
import type { MissionLedger } from "./model";
import { ledger, missions } from "./state";

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);

/** "3 (fecf 2, length 1)": a count with its causes, those that are not zero. */
function causes(counts: Record<string, number>): string {
  const named = Object.entries(counts).filter(([, n]) => n > 0);
  const total = integerText(sum(counts));
  return named.length ? `${total} (${named.map(([cause, n]) => `${cause} ${integerText(n)}`).join(", ")})` : total;
}

interface CountProps {
  label: string;
  value: number | string;
  bad?: boolean;
  id?: string;
}

function Count({ label, value, bad = false, id }: CountProps) {
  return (
    <div class={`count ${bad ? "bad" : ""}`} data-testid={id}>
      <dt>{label}</dt>
      <dd>
        {bad && <span aria-hidden="true">▲ </span>}
        {typeof value === "number" ? integerText(value) : value}
      </dd>
    </div>
  );
}

function MissionCounts({ name, counts }: { name: string; counts: MissionLedger }) {
  const { frames, packets, rows, vcs, pending } = counts;
  const title = missions.value.find((m) => m.name === name)?.title ?? name;
  return (
    <section class="mission-ledger" data-testid={`ledger-${name}`}>
      <h3>{title}</h3>
      <dl class="counts">
        <Count label="Frames in" value={frames.in} id={`ledger-${name}-frames-in`} />
        <Count label="good" value={frames.good} id={`ledger-${name}-frames-good`} />
        <Count label="duplicate" value={frames.duplicate} />
        <Count label="rejected" value={causes(frames.rejected)} bad={sum(frames.rejected) > 0} />
        <Count label="Packets" value={packets.in} id={`ledger-${name}-packets`} />
        <Count label="decoded" value={packets.decoded} />
        <Count label="idle" value={packets.idle} />
        <Count label="undecoded" value={causes(packets.undecoded)} bad={sum(packets.undecoded) > 0} />
        <Count label="Rows stored" value={rows.stored} id={`ledger-${name}-rows`} />
        <Count label="repeated" value={rows.repeated} />
        <Count label="pending" value={pending} />
      </dl>
      <table class="vcs">
        <thead>
          <tr>
            <th scope="col">Station / VC</th>
            <th scope="col">Frames</th>
            <th scope="col">Packets</th>
            <th scope="col">Gaps</th>
            <th scope="col">Lost</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(vcs).map(([channel, vc]) => (
            <tr key={channel}>
              <th scope="row">{channel.replace("/", " / ")}</th>
              <td>{integerText(vc.frames)}</td>
              <td>{integerText(vc.packets)}</td>
              <td class={vc.gaps ? "bad" : ""}>{integerText(vc.gaps)}</td>
              <td class={vc.lost ? "bad" : ""}>{integerText(vc.lost)}</td>
            </tr>
          ))}
        </tbody>
      </table>
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
            <dl class="counts positions">
              <Count label="Recorded" value={now.position.recorded} id="ledger-recorded" />
              <Count label="processed" value={now.position.processed} id="ledger-processed" />
              <Count label="stored" value={now.position.stored} id="ledger-stored" />
              {Object.entries(now.link).map(([label, value]) => (
                <Count key={label} label={`link: ${label.replaceAll("_", " ")}`} value={value} />
              ))}
            </dl>
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
