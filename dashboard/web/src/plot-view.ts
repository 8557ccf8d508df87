/** One plot at work: keeps the series filled, paints when it would look different, turns gestures into windows. */
import type { Signal } from "@preact/signals";
import type uPlot from "uplot";
import { columns, createChart, readPalette, type Palette } from "./chart";
import { pan, windowOf, zoom, type Window } from "./conductor";
import { cursor, type Reading, type Readings } from "./cursor";
import { numberText, valueText } from "./format";
import { onFrame } from "./frame";
import { discrete, type Parameter } from "./model";
import { consumers, filled, reconnected } from "./session";
import { range, timeOf } from "./state";
import { csv } from "./table";
import { theme } from "./theme";
import { fromSeconds, secondsBetween, SECOND, toIso, type Ns } from "./time";
import { Traces } from "./traces";

export interface PlotSetup {
  mission: string;
  absolute: boolean;
  parameters: readonly Parameter[];
  readings: Signal<Readings>;
  note: Signal<string | null>;
  /** Length in ns of the roll-ups that the history was made from in part; 0 where it was every sample. */
  rollup: Signal<Ns>;
  change(turn: (window: Window) => Window): void;
  reset(): void;
}

/** The origin of x may be this far (s) from the window: a float64 still resolves a fraction of a nanosecond. */
const REACH_S = 1e6;

export class PlotView {
  private readonly traces: Traces;
  private origin: Ns = 0n;
  private chart: uPlot | null = null;
  private palette: Palette;
  private painted = { start: 0n, stop: 0n, version: -1 };
  private dragging = false;
  private inside = false;
  private readonly undo: (() => void)[] = [];

  constructor(
    private readonly host: HTMLElement,
    private readonly setup: PlotSetup,
  ) {
    this.palette = readPalette(host);
    this.traces = new Traces(
      setup.mission,
      setup.parameters.map((p) => p.name),
      0n,
    );
    const consume = this.traces.batch.bind(this.traces);
    const refresh = this.traces.refresh.bind(this.traces);
    const refill = (mission: string): void => {
      if (mission === setup.mission) refresh();
    };
    consumers.add(consume);
    reconnected.add(refresh);
    filled.add(refill);
    const resize = new ResizeObserver(() => this.resize());
    resize.observe(host);
    this.undo.push(
      () => consumers.delete(consume),
      () => reconnected.delete(refresh),
      () => filled.delete(refill),
      () => resize.disconnect(),
      theme.subscribe(() => this.restyle()),
      onFrame((now) => this.paint(now)),
    );
  }

  close(): void {
    for (const step of this.undo) step();
    this.traces.close();
    this.chart?.destroy();
    if (cursor.value?.owner === this) cursor.value = null;
  }

  /** What is shown now, as CSV; null before there is anything. */
  table(): { name: string; text: string } | null {
    const window = this.shown();
    if (!window) return null;
    const { mission, parameters, absolute } = this.setup;
    const since = absolute ? toIso(window[0]).replaceAll(":", "").slice(0, 17) : String(window[0]);
    return { name: `${mission}-${since}.csv`, text: csv(parameters, this.traces.series, window, absolute) };
  }

  /** The window that is shown now; null before the mission's time is known. */
  shown(): Window | null {
    return this.window(performance.now());
  }

  /** The fixed window of this plot's mission; null where it follows the clock. */
  private fixed(): Window | null {
    return (range.value.kind === "fixed" && range.value.windows[this.setup.mission]) || null;
  }

  private window(nowMs: number): Window | null {
    const edge = timeOf(this.setup.mission).edge(nowMs);
    return this.fixed() ?? (edge === null ? null : windowOf(range.value, this.setup.mission, edge));
  }

  private paint(nowMs: number): void {
    const window = this.window(nowMs);
    if (!window) return this.say("Waiting for the first data of this mission.");
    const width = this.host.clientWidth;
    if (!width || this.dragging) return;
    this.anchor(window);
    const chart = (this.chart ??= this.create());
    const pixels = Math.max(50, chart.bbox.width / devicePixelRatio);
    this.traces.ensure(window, pixels, this.fixed() === null, nowMs);
    this.say(this.traces.failure && `History can't be had: ${this.traces.failure}. Trying again.`);
    if (this.setup.rollup.value !== this.traces.rollup) this.setup.rollup.value = this.traces.rollup;
    this.follow(chart);
    const perPixel = Number(window[1] - window[0]) / (pixels * devicePixelRatio);
    const moved = Math.abs(Number(window[0] - this.painted.start)) + Math.abs(Number(window[1] - this.painted.stop));
    const version = this.traces.version;
    if (version === this.painted.version && moved < perPixel) return;
    this.painted = { start: window[0], stop: window[1], version };
    chart.batch(() => {
      chart.setData(columns(this.traces.series), false);
      chart.setScale("x", { min: secondsBetween(window[0], this.origin), max: secondsBetween(window[1], this.origin) });
    });
    this.host.dataset.points = String(this.traces.series.reduce((sum, s) => sum + s.length, 0));
  }

  private say(text: string | null): void {
    if (this.setup.note.value !== text) this.setup.note.value = text;
  }

  /** Keeps x's origin near the window. */
  private anchor([start, stop]: Window): void {
    const far = (ns: Ns): boolean => Math.abs(secondsBetween(ns, this.origin)) > REACH_S;
    if (!far(start) && !far(stop)) return;
    const origin = (start / SECOND) * SECOND;
    if (origin === this.origin) return;
    this.origin = origin;
    for (const series of this.traces.series) series.rebase(origin);
  }

  private create(): uPlot {
    const { parameters, absolute } = this.setup;
    const chart = createChart(
      {
        parameters,
        absolute,
        series: this.traces.series,
        origin: () => this.origin,
        palette: () => this.palette,
        onCursor: (x) => this.point(x),
        onSelect: (min, max) =>
          this.setup.change(() => [this.origin + fromSeconds(min), this.origin + fromSeconds(max)]),
        onReset: () => this.setup.reset(),
      },
      this.host,
      this.host.clientWidth,
      this.host.clientHeight,
    );
    this.gestures(chart.over);
    return chart;
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (this.chart && width && height) this.chart.setSize({ width, height });
    this.painted.version = -1;
  }

  private restyle(): void {
    // The theme's own effect sets the attribute that the colours hang on; read them after it ran.
    queueMicrotask(() => {
      this.palette = readPalette(this.host);
      this.painted.version = -1;
    });
  }

  private point(x: number | null): void {
    // uPlot also tells of cursors that it moved along with the scale; only the plot under the pointer has a say.
    if (x !== null && this.inside)
      cursor.value = { mission: this.setup.mission, at: this.origin + fromSeconds(x), owner: this };
    else if (cursor.value?.owner === this) cursor.value = null;
  }

  /** Shows the shared cursor in this plot's legend, and as a line where another plot owns it. */
  private follow(chart: uPlot): void {
    const shared = cursor.value;
    const { readings } = this.setup;
    if (!shared || shared.mission !== this.setup.mission) {
      if (readings.value.at === null) return;
      readings.value = { at: null, rows: [] };
      chart.setCursor({ left: -10, top: -10 }, false);
      return;
    }
    const x = secondsBetween(shared.at, this.origin);
    if (shared.owner !== this) chart.setCursor({ left: chart.valToPos(x, "x"), top: 0 }, false);
    if (readings.value.at === shared.at) return;
    readings.value = { at: shared.at, rows: this.setup.parameters.map((p, i) => this.read(p, i, x)) };
  }

  private read(parameter: Parameter, place: number, x: number): Reading {
    const series = this.traces.series[place]!;
    const i = series.at(x);
    if (i < 0) return { text: null, band: null };
    const value = series.line[i]!;
    const low = series.low[i]!;
    const high = series.high[i]!;
    if (discrete(parameter))
      return { text: valueText(parameter.kind === "boolean" ? value !== 0 : value, parameter), band: null };
    const alone = this.setup.parameters.length === 1;
    return { text: numberText(value), band: alone && low < high ? `${numberText(low)} … ${numberText(high)}` : null };
  }

  private gestures(over: HTMLElement): void {
    over.addEventListener("mouseenter", () => (this.inside = true));
    over.addEventListener("mouseleave", () => {
      this.inside = false;
      this.point(null);
    });
    over.addEventListener("mousedown", (event) => (this.dragging = event.button === 0 && !event.shiftKey));
    const release = (): void => void (this.dragging = false);
    addEventListener("mouseup", release);
    this.undo.push(() => removeEventListener("mouseup", release));

    over.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const box = over.getBoundingClientRect();
        const along = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
          return this.setup.change((w) => pan(w, along / box.width));
        const factor = Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.002);
        this.setup.change((w) => zoom(w, factor, (event.clientX - box.left) / box.width));
      },
      { passive: false },
    );

    // Shift-drag with a mouse, or a finger moved sideways, pans.
    let last: number | null = null;
    over.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch" && !event.shiftKey) return;
      last = event.clientX;
      over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointermove", (event) => {
      if (last === null || event.clientX === last) return;
      const share = (last - event.clientX) / over.clientWidth;
      last = event.clientX;
      this.setup.change((w) => pan(w, share));
    });
    for (const end of ["pointerup", "pointercancel"] as const) over.addEventListener(end, () => (last = null));
  }
}
