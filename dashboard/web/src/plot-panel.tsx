import { useComputed, useSignal, type Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { backToLive } from "./conductor-bar";
import { fix, pan, windowOf, zoom, type Window } from "./conductor";
import type { Readings } from "./cursor";
import { PlotView } from "./plot-view";
import { valueText } from "./format";
import type { Parameter } from "./model";
import {
  byName,
  closePlot,
  container,
  current,
  edges,
  latest,
  missions,
  range,
  removeFromPlot,
  selected,
  tick,
  type Plot,
} from "./state";
import { save } from "./table";
import { timeText } from "./time";

const NONE: Readings = { at: null, rows: [] };

interface LegendProps {
  plot: Plot;
  parameter: Parameter;
  place: number;
  readings: Signal<Readings>;
}

function LegendEntry({ plot, parameter, place, readings }: LegendProps) {
  const alike = plot.parameters.filter((name) => name.endsWith(`/${parameter.parameter}`)).length > 1;
  const text = useComputed(() => {
    const { at, rows } = readings.value;
    if (at !== null) return rows[place]?.text ?? "–";
    void tick.value;
    const newest = latest.get(plot.mission, parameter.name);
    return newest ? valueText(newest.value, parameter) : "–";
  });
  const band = useComputed(() => (readings.value.at === null ? null : (readings.value.rows[place]?.band ?? null)));
  return (
    <li class={`series series-${place % 8}`}>
      <i aria-hidden="true" />
      <span class="name" title={`${parameter.name}\n${parameter.description}`}>
        {alike ? parameter.name : parameter.parameter}
      </span>
      <b>{text}</b>
      {parameter.unit && <small>{parameter.unit}</small>}
      {band.value && <small class="band">{band}</small>}
      <button
        type="button"
        aria-label={`Remove ${parameter.name} from the plot`}
        onClick={() => removeFromPlot(plot.id, parameter.name)}
      >
        ×
      </button>
    </li>
  );
}

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
  const keep = (): void => {
    const table = view.current?.table();
    if (table) save(table.name, table.text);
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
        <span class="at">{useComputed(() => (readings.value.at === null ? "" : timeText(readings.value.at, 3)))}</span>
        <button
          type="button"
          class="quiet tool"
          aria-label="Save what is shown as CSV"
          title="Save what is shown as CSV"
          data-testid="save"
          onClick={keep}
        >
          ⤓
        </button>
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
