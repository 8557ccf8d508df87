/** A uPlot chart over the series of one plot: axes, colours, limit lines; no data of its own. */
import uPlot from "uplot";
import { axisRange, extent, trace, valueStep, type Extent } from "./draw";
import { axisText } from "./format";
import { sign } from "./limits";
import { discrete, type Parameter } from "./model";
import type { Series } from "./series";
import { fromSeconds, tickLabels, ticks, tickStep, type Ns } from "./time";

export interface Palette {
  series: string[];
  text: string;
  grid: string;
  limit: Record<string, string>;
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const get = (name: string): string => style.getPropertyValue(name).trim();
  return {
    series: Array.from({ length: 8 }, (_, i) => get(`--series-${i}`)),
    text: get("--text-2"),
    grid: get("--grid"),
    limit: Object.fromEntries(
      ["watch", "warning", "distress", "critical", "severe"].map((severity) => [severity, get(`--${severity}`)]),
    ),
  };
}

export interface Chart {
  parameters: readonly Parameter[];
  series: readonly Series[];
  absolute: boolean;
  origin(): Ns;
  palette(): Palette;
  onCursor(x: number | null): void;
  onSelect(min: number, max: number): void;
  onReset(): void;
}

const FONT = '11px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
/** Widths (CSS pixels) of the narrowest value axis and of a digit on it. */
const NARROWEST = 56;
const CHARACTER = 6.6;

/** Parameters of one unit share an axis; states with the same labels do, too. */
export function scaleKey(parameter: Parameter): string {
  return discrete(parameter) ? `states:${JSON.stringify(parameter.labels)}` : `unit:${parameter.unit}`;
}

const scaleName = (k: number): string => (k === 0 ? "y" : `y${k}`);

export function createChart(chart: Chart, host: HTMLElement, width: number, height: number): uPlot {
  const { parameters, series } = chart;
  const keys = [...new Set(parameters.map(scaleKey))];
  const places = parameters.map((parameter) => keys.indexOf(scaleKey(parameter)));
  const scaleOf = (i: number): string => scaleName(places[i]!);
  const xExtent = (u: uPlot): Extent => ({ min: u.scales.x!.min ?? 0, max: u.scales.x!.max ?? 1 });

  const rangeOf = (u: uPlot, scale: string): Extent => {
    const members = parameters.map((_, i) => i).filter((i) => scaleOf(i) === scale);
    const found = members.map((i) => extent(series[i]!, xExtent(u))).filter((e) => e !== null);
    const all = found.length
      ? { min: Math.min(...found.map((e) => e.min)), max: Math.max(...found.map((e) => e.max)) }
      : null;
    if (members.some((i) => discrete(parameters[i]!)))
      return { min: Math.floor(all?.min ?? 0) - 0.4, max: Math.ceil(all?.max ?? 1) + 0.4 };
    return axisRange(all && parameters.length === 1 ? withLimits(all, parameters[0]!) : all);
  };

  const scales: uPlot.Scales = { x: { time: false, auto: false } };
  keys.forEach((_, k) => {
    const name = scaleName(k);
    scales[name] = { auto: true, range: (u) => Object.values(rangeOf(u, name)) as uPlot.Range.MinMax };
  });

  const options: uPlot.Options = {
    mode: 2,
    width,
    height,
    padding: [10, keys.length > 1 ? 0 : 30, 0, 0], // room for half a time label
    scales,
    legend: { show: false },
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false, dist: 4 },
      bind: {
        // Shift-drag pans; the plot handles that itself.
        mousedown: (_u, _target, handler) => (event) => (event.shiftKey ? null : handler(event)),
        dblclick: () => () => (chart.onReset(), null),
      },
    },
    axes: [
      xAxis(chart),
      ...keys.map((_, k) =>
        yAxis(
          chart,
          k,
          parameters.map((_, i) => i).filter((i) => places[i] === k),
          keys.length > 1,
        ),
      ),
    ],
    series: [
      null as unknown as uPlot.Series,
      ...parameters.map((parameter, i): uPlot.Series => {
        const colour = (): string => chart.palette().series[i % 8]!;
        return {
          label: parameter.name,
          auto: false,
          width: 1.5,
          stroke: colour,
          fill: () => `${colour()}38`,
          points: { show: false },
          facets: [
            { scale: "x", auto: false },
            { scale: scaleOf(i), auto: false },
          ],
          paths: (u) => {
            const y = u.scales[scaleOf(i)]!;
            const box = u.bbox;
            const range = { min: y.min ?? 0, max: y.max ?? 1 };
            return { ...trace(series[i]!, xExtent(u), range, box, discrete(parameter), devicePixelRatio), flags: 0 };
          },
        };
      }),
    ],
    hooks: {
      drawAxes: [(u) => parameters.length === 1 && drawLimits(u, parameters[0]!, chart.palette())],
      setCursor: [
        (u) => {
          const left = u.cursor.left ?? -1;
          chart.onCursor(left >= 0 ? u.posToVal(left, "x") : null);
        },
      ],
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          chart.onSelect(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
  return new uPlot(options, columns(series), host);
}

/** The series' own arrays, no copies. */
export function columns(series: readonly Series[]): uPlot.AlignedData {
  const facets = series.map((s) => [s.x.subarray(0, s.length), s.line.subarray(0, s.length)]);
  return [null, ...facets] as unknown as uPlot.AlignedData;
}

/** Limits near the data belong in view; far ones would flatten the curve. */
function withLimits(values: Extent, parameter: Parameter): Extent {
  const near = Math.max(values.max - values.min, Math.abs(values.max) * 0.02) * 0.6;
  const lines = parameter.limits.flatMap(({ low, high }) => [low, high]).filter((v) => v !== null);
  const inView = lines.filter((v) => v > values.min - near && v < values.max + near);
  return { min: Math.min(values.min, ...inView), max: Math.max(values.max, ...inView) };
}

function drawLimits(u: uPlot, parameter: Parameter, palette: Palette): void {
  const { ctx, bbox } = u;
  const scale = u.scales.y!;
  ctx.save();
  ctx.font = FONT.replace("11px", `${10 * devicePixelRatio}px`);
  ctx.textAlign = "right";
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const { severity, low, high } of parameter.limits)
    for (const [value, isHigh] of [
      [low, false],
      [high, true],
    ] as const) {
      if (value === null || value < (scale.min ?? 0) || value > (scale.max ?? 0)) continue;
      const y = Math.round(u.valToPos(value, "y", true)) + 0.5;
      ctx.strokeStyle = ctx.fillStyle = palette.limit[severity] ?? palette.text;
      ctx.globalAlpha = 0.75;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.textBaseline = isHigh ? "bottom" : "top";
      ctx.fillText(`${sign(severity)} ${severity}`, bbox.left + bbox.width - 4 * devicePixelRatio, y);
    }
  ctx.restore();
}

function xAxis(chart: Chart): uPlot.Axis {
  let step = fromSeconds(1);
  let at: Ns[] = [];
  return {
    scale: "x",
    size: 40,
    gap: 4,
    font: FONT,
    stroke: () => chart.palette().text,
    grid: { stroke: () => chart.palette().grid, width: 1 },
    ticks: { show: false },
    splits: (u, _axis, min, max) => {
      const origin = chart.origin();
      const count = Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / 92));
      step = tickStep(fromSeconds((max - min) / count));
      at = ticks(origin + fromSeconds(min), origin + fromSeconds(max), step);
      return at.map((ns) => Number(ns - origin) / 1e9);
    },
    values: () => tickLabels(at, step, chart.absolute),
  };
}

/** The value axis of some of the parameters, by their places; in the line's colour where axes have to be told apart. */
function yAxis(chart: Chart, k: number, of: readonly number[], several: boolean): uPlot.Axis {
  const members = of.map((i) => chart.parameters[i]!);
  const own = several && of.length === 1 ? of[0]! % 8 : null;
  const labels = members[0]?.labels ?? (members[0]?.kind === "boolean" ? { "0": "false", "1": "true" } : null);
  const isState = members.some(discrete);
  let step = 1;
  return {
    scale: scaleName(k),
    side: k === 0 ? 3 : 1,
    size: (u, values, axis, cycle) => {
      if (cycle > 1) return (u.axes[axis] as { _size?: number } | undefined)?._size ?? NARROWEST;
      const longest = Math.max(0, ...(values ?? []).map((text) => text?.length ?? 0));
      return Math.max(NARROWEST, Math.ceil((longest * CHARACTER + 14) / 8) * 8);
    },
    gap: 6,
    font: FONT,
    stroke: () => (own === null ? chart.palette().text : chart.palette().series[own]!),
    grid: { show: k === 0, stroke: () => chart.palette().grid, width: 1 },
    ticks: { show: false },
    splits: (u, _axis, min, max) => {
      const room = Math.max(2, Math.floor(u.bbox.height / devicePixelRatio / 26));
      step = isState ? Math.max(1, valueStep(max - min, room)) : valueStep(max - min, room);
      const first = Math.ceil(min / step - 1e-9);
      const count = Math.floor(max / step + 1e-9) - first + 1;
      return Array.from({ length: Math.max(0, count) }, (_, i) => (first + i) * step);
    },
    values: (_u, splits) => splits.map((v) => clip(labels ? (labels[String(v)] ?? "") : axisText(v, step))),
  };
}

const clip = (text: string): string => (text.length > 14 ? `${text.slice(0, 13)}…` : text);
