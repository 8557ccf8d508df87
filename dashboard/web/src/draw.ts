/** How a series becomes ink: a line through the samples, a band from minimum to maximum, breaks at gaps. */
import { longestStep } from "./gaps";
import type { Series } from "./series";

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Extent {
  min: number;
  max: number;
}

/** Rows to draw for [min, max] of x: those inside and one more on each side, so that lines reach the plot's edges. */
export function visibleRows(series: Series, x: Extent): [start: number, stop: number] {
  const start = Math.max(0, series.at(x.min));
  return [start, Math.min(series.length, series.at(x.max) + 2)];
}

/** Smallest and largest finite value in view, bands included; null where there is none. */
export function extent(series: Series, x: Extent): Extent | null {
  const [start, stop] = visibleRows(series, x);
  let min = Infinity;
  let max = -Infinity;
  for (let i = start; i < stop; i++)
    for (const value of [series.low[i]!, series.line[i]!, series.high[i]!]) {
      if (!Number.isFinite(value)) continue; // an axis with an infinity on it shows nothing else
      if (value < min) min = value;
      if (value > max) max = value;
    }
  return min <= max ? { min, max } : null;
}

/** A step of 1, 2 or 5 times a power of ten, so that about `count` of them make the span. */
export function valueStep(span: number, count: number): number {
  const rough = span / count;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const factor = rough / decade;
  return decade * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
}

/** An axis range around the values that moves in whole steps, so that it stands still while the data creeps. */
export function axisRange(values: Extent | null): Extent {
  if (!values) return { min: 0, max: 1 };
  let { min, max } = values;
  const least = Math.max(Math.abs(min), Math.abs(max)) * 1e-9;
  if (max - min <= least) {
    const pad = Math.abs(max) * 0.02 || 1;
    min -= pad;
    max += pad;
  }
  const pad = (max - min) * 0.06;
  const step = valueStep(max - min, 6);
  return { min: Math.floor((min - pad) / step) * step, max: Math.ceil((max + pad) / step) * step };
}

export interface Ink {
  stroke: Path2D;
  fill: Path2D;
}

/** Half the width and the height of the sign for an infinity, in CSS pixels. */
const SIGN = 4;

/** A corner at the upper edge for infinity, at the lower one for its negative: the line has a gap there. */
function signInfinity(stroke: Path2D, x: number, positive: boolean, box: Box, scale: number): void {
  const size = SIGN * scale;
  const tip = positive ? box.top + scale : box.top + box.height - scale;
  const foot = positive ? tip + size : tip - size;
  stroke.moveTo(x - size, foot);
  stroke.lineTo(x, tip);
  stroke.lineTo(x + size, foot);
}

/** Least distance in canvas pixels between samples that get a dot each. */
const DOT_SPACING = 14;

/**
 * Traces the rows in view into paths in canvas pixels. `stepped` holds each value until the next, as states do.
 * `scale` is the device's pixel ratio.
 */
export function trace(series: Series, x: Extent, y: Extent, box: Box, stepped: boolean, scale: number): Ink {
  const stroke = new Path2D();
  const fill = new Path2D();
  const [start, stop] = visibleRows(series, x);
  const perX = box.width / (x.max - x.min);
  const perY = box.height / (y.max - y.min);
  const px = (i: number): number => box.left + (series.x[i]! - x.min) * perX;
  const py = (value: number): number => box.top + (y.max - value) * perY;
  const dots = (stop - start) * DOT_SPACING * scale < box.width;
  const radius = 1.1 * scale;
  for (let i = start; i < stop; i++)
    for (const infinity of [Infinity, -Infinity])
      if (series.line[i] === infinity || series.low[i] === infinity || series.high[i] === infinity)
        signInfinity(stroke, px(i), infinity > 0, box, scale);
  for (const [first, end] of runs(series, start, stop)) {
    let banded = false;
    stroke.moveTo(px(first), py(series.line[first]!));
    for (let i = first; i < end; i++) {
      if (stepped && i > first) stroke.lineTo(px(i), py(series.line[i - 1]!));
      stroke.lineTo(px(i), py(series.line[i]!));
      banded ||= series.low[i]! < series.high[i]!;
    }
    if (end - first === 1 || (dots && !stepped))
      for (let i = first; i < end; i++) {
        stroke.moveTo(px(i) + radius, py(series.line[i]!));
        stroke.arc(px(i), py(series.line[i]!), radius, 0, 2 * Math.PI);
      }
    if (!banded) continue;
    const edge = (values: Float64Array, i: number): number =>
      py(Number.isFinite(values[i]) ? values[i]! : series.line[i]!);
    fill.moveTo(px(first), edge(series.high, first));
    for (let i = first; i < end; i++) fill.lineTo(px(i), edge(series.high, i));
    for (let i = end - 1; i >= first; i--) fill.lineTo(px(i), edge(series.low, i));
    fill.closePath();
  }
  return { stroke, fill };
}

/** Stretches of rows without a gap between them; what isn't finite can't be drawn, and is a gap. */
export function runs(series: Series, start: number, stop: number): [first: number, end: number][] {
  const split = Math.min(Math.max(series.history, start), stop);
  const stored = longestStep(series.x, start, split);
  const live = longestStep(series.x, split, stop);
  const either = Math.max(Number.isFinite(stored) ? stored : 0, Number.isFinite(live) ? live : 0) || Infinity;
  const found: [number, number][] = [];
  let first = start;
  for (let i = start + 1; i <= stop; i++) {
    const longest = i < split ? stored : i > split && Number.isFinite(live) ? live : either;
    const finite = Number.isFinite(series.line[i - 1]);
    if (finite && i < stop && Number.isFinite(series.line[i]) && series.x[i]! - series.x[i - 1]! <= longest) continue;
    if (finite && first < i) found.push([first, i]);
    first = i;
  }
  return found;
}
