import { LIVE_SPANS, fix, pan, windowOf, zoom, type Window } from "./conductor";
import { current, edges, missions, plots, range, selected, tick } from "./state";
import { durationText, instantText } from "./time";

/** The mission whose window the buttons turn: that of the current plot. */
function subject(): string | null {
  return plots.value.find((plot) => plot.id === current.value)?.mission ?? selected.value;
}

function turn(change: (window: Window) => Window): void {
  const mission = subject();
  const known = edges();
  const edge = mission === null ? undefined : known[mission];
  if (mission === null || edge === undefined) return;
  range.value = fix(change(windowOf(range.value, mission, edge)), mission, known);
}

function Shown() {
  const now = range.value;
  const mission = subject();
  if (now.kind === "live") return <span class="shown follows">following the mission clock</span>;
  void tick.value;
  const window = mission === null ? undefined : now.windows[mission];
  if (!window) return <span class="shown">{durationText(now.span)}</span>;
  const absolute = missions.value.find((m) => m.name === mission)?.absolute_time ?? true;
  const digits = now.span < 10 ? 3 : 0;
  return (
    <span class="shown">
      {instantText(window[0], digits, absolute)} <em>+ {durationText(now.span)}</em>
    </span>
  );
}

export function ConductorBar({ onParameters }: { onParameters: () => void }) {
  const now = range.value;
  const live = now.kind === "live";
  return (
    <div class="conductor" role="toolbar" aria-label="Time range">
      <button type="button" class="drawer-button" onClick={onParameters}>
        ☰ Parameters
      </button>
      <div class="segments" role="group" aria-label="Live window">
        {LIVE_SPANS.map(([span, label]) => (
          <button
            type="button"
            key={span}
            aria-pressed={live && now.span === span}
            onClick={() => (range.value = { kind: "live", span })}
          >
            {label}
          </button>
        ))}
      </div>
      <div class="segments" role="group" aria-label="Move and zoom">
        <button type="button" aria-label="Earlier" title="Earlier (←)" onClick={() => turn((w) => pan(w, -0.5))}>
          ‹
        </button>
        <button type="button" aria-label="Zoom out" title="Zoom out (−)" onClick={() => turn((w) => zoom(w, 2, 0.5))}>
          −
        </button>
        <button type="button" aria-label="Zoom in" title="Zoom in (+)" onClick={() => turn((w) => zoom(w, 0.5, 0.5))}>
          +
        </button>
        <button type="button" aria-label="Later" title="Later (→)" onClick={() => turn((w) => pan(w, 0.5))}>
          ›
        </button>
      </div>
      <Shown />
      <button
        type="button"
        class={`live-button ${live ? "is-live" : ""}`}
        disabled={live}
        data-testid="back-to-live"
        title="Follow the mission clock again (Home)"
        onClick={backToLive}
      >
        {live ? "● Live" : "Back to live"}
      </button>
    </div>
  );
}

/** Follows the clock again, with the span among the offered ones that is nearest to what was shown. */
export function backToLive(): void {
  if (range.value.kind === "live") return;
  const { span } = range.value;
  const distance = (s: number): number => Math.abs(Math.log(s / span));
  const nearest = LIVE_SPANS.reduce((a, b) => (distance(b[0]) < distance(a[0]) ? b : a))[0];
  range.value = { kind: "live", span: nearest };
}
