import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { backToLive } from "./conductor-bar";
import { fix, pan, windowOf, zoom, type Window } from "./conductor";
import type { Readings } from "./cursor";
import { LegendEntry } from "./plot-legend";
import { PlotView } from "./plot-view";
import { SaveMenu } from "./save-menu";
import { byName, closePlot, container, current, edges, missions, range, selected, type Plot } from "./state";
import { durationText, secondsBetween, timeText } from "./time";

const NONE: Readings = { at: null, rows: [] };

function act(mission: string, change: (window: Window) => Window): void {
  const known = edges();
  const edge = known[mission];
  if (edge === undefined) return;
  range.value = fix(change(windowOf(range.value, mission, edge)), mission, known);
}

const KEYS: Record<string, (window: Window) => Window> = {
  ArrowLeft: (w) => pan(w, -0.1),
  ArrowRight: (w) => pan(w, 0.1),
  "+": (w) => zoom(w, 0.7, 0.5),
  "=": (w) => zoom(w, 0.7, 0.5),
  "-": (w) => zoom(w, 1 / 0.7, 0.5),
};

export function PlotPanel({ plot }: { plot: Plot }) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<PlotView | null>(null);
  const readings = useSignal<Readings>(NONE);
  const note = useSignal<string | null>(null);
  const rollup = useSignal(0n);
  const known = byName.value.get(plot.mission);
  const key = plot.parameters.join();
  const members = useMemo(
    () => plot.parameters.map((name) => known?.get(name)).filter((p) => p !== undefined),
    [key, known],
  );
  const mission = missions.value.find((m) => m.name === plot.mission);
  const active = current.value === plot.id;
  const drawn = members.map((p) => p.name).join();

  useEffect(() => {
    if (!host.current || !members.length) return;
    const opened = new PlotView(host.current, {
      mission: plot.mission,
      absolute: mission?.absolute_time ?? true,
      parameters: members,
      readings,
      note,
      rollup,
      change: (turn) => act(plot.mission, turn),
      reset: backToLive,
    });
    view.current = opened;
    return () => {
      view.current = null;
      opened.close();
    };
  }, [plot.mission, drawn]);

  useEffect(() => {
    const section = host.current?.parentElement;
    const list = section?.parentElement;
    if (!active || !section || !list) return;
    // Scrolls the list only: on a narrow screen the page itself stays where its reader is.
    const below = section.getBoundingClientRect().bottom - list.getBoundingClientRect().bottom;
    if (below > 0) list.scrollTop += below;
  }, [active]);

  const choose = (): void => {
    if (current.value === plot.id) return;
    current.value = plot.id;
    if (selected.value === plot.mission) return;
    selected.value = plot.mission;
    container.value = plot.parameters[0]?.split("/")[0] ?? null;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget) return;
    const turn = KEYS[event.key];
    if (turn) act(plot.mission, turn);
    else if (event.key === "Home") backToLive();
    else if (event.key === "Delete") closePlot(plot.id);
    else return;
    event.preventDefault();
  };
  const missing = plot.parameters.length - members.length;

  return (
    <section
      class={`plot ${active ? "active" : ""}`}
      data-testid="plot"
      data-mission={plot.mission}
      data-parameters={key}
      aria-label={`Plot of ${plot.parameters.join(", ")}, ${mission?.title ?? plot.mission}`}
      tabIndex={0}
      onPointerDown={choose}
      onFocus={choose}
      onKeyDown={onKeyDown}
    >
      <div class="plot-head">
        <span class="mission">{mission?.title ?? plot.mission}</span>
        <ul class="legend">
          {members.map((parameter, place) => (
            <LegendEntry key={parameter.name} plot={plot} parameter={parameter} place={place} readings={readings} />
          ))}
        </ul>
        {rollup.value > 0n && (
          <small class="rollup" title="Drawn from summaries of so long each, not from every sample; saving gives them all">
            from {durationText(secondsBetween(rollup.value, 0n))} roll-ups
          </small>
        )}
        <span class="at">{useComputed(() => (readings.value.at === null ? "" : timeText(readings.value.at, 3)))}</span>
        <SaveMenu plot={plot} view={view} />
        <button
          type="button"
          class="quiet tool"
          aria-label="Close this plot"
          title="Close (Delete)"
          onClick={() => closePlot(plot.id)}
        >
          ×
        </button>
      </div>
      <div class="plot-body" ref={host} />
      <p class="note" role="status">
        {missing > 0 && known ? `${missing} parameter of this link is not in the mission's definition. ` : ""}
        {note}
      </p>
    </section>
  );
}
