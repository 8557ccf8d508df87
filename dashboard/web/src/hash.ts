/**
 * The view in the address, so that a link shows what its sender saw:
 * `#mission=luna26&values=Power&range=300&plot=luna26:Power/battery_voltage,Power/soc&plot=tianwen1:...`
 * A fixed range is `range=luna26:<start>/<stop>;tianwen1:<start>/<stop>` in ISO 8601.
 */
import type { Range, Window } from "./conductor";
import { parseIso, secondsBetween, toIso } from "./time";

export interface PlotView {
  mission: string;
  parameters: string[];
}

export interface View {
  mission: string | null;
  /** Container in the value table; null shows the plotted parameters. */
  values: string | null;
  range: Range | null;
  plots: PlotView[];
}

const encode = (text: string): string => encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%3A", ":");

export function writeHash(view: View): string {
  const parts: string[] = [];
  if (view.mission) parts.push(`mission=${encode(view.mission)}`);
  if (view.values) parts.push(`values=${encode(view.values)}`);
  if (view.range?.kind === "live") parts.push(`range=${view.range.span}`);
  if (view.range?.kind === "fixed") {
    const all = Object.entries(view.range.windows);
    const drawn = all.filter(([mission]) => view.plots.some((plot) => plot.mission === mission));
    const windows = (drawn.length ? drawn : all).map(
      ([mission, [start, stop]]) => `${encode(mission)}:${toIso(start)}/${toIso(stop)}`,
    );
    parts.push(`range=${windows.join(";")}`);
  }
  for (const plot of view.plots) parts.push(`plot=${encode(plot.mission)}:${plot.parameters.map(encode).join(",")}`);
  return `#${parts.join("&")}`;
}

function readRange(text: string): Range | null {
  if (/^\d+(\.\d+)?$/.test(text)) {
    const span = Number(text);
    return span > 0 && span <= 1e9 ? { kind: "live", span } : null;
  }
  const windows: Record<string, Window> = {};
  let span = 0;
  for (const part of text.split(";")) {
    const match = /^([\w-]+):([^/]+)\/([^/]+)$/.exec(part);
    const start = match && parseIso(match[2]!);
    const stop = match && parseIso(match[3]!);
    if (!match || !start || !stop || stop <= start) return null;
    windows[match[1]!] = [start, stop];
    span = secondsBetween(stop, start);
  }
  return span > 0 ? { kind: "fixed", span, windows } : null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** Reads a hash; null for an empty one. What cannot be read is left out: an old link must still open. */
export function readHash(hash: string): View | null {
  const text = hash.replace(/^#/, "");
  if (!text) return null;
  const view: View = { mission: null, values: null, range: null, plots: [] };
  for (const part of text.split("&")) {
    const cut = part.indexOf("=");
    const key = part.slice(0, cut);
    const value = decode(part.slice(cut + 1));
    if (key === "mission") view.mission = value || null;
    else if (key === "values") view.values = value || null;
    else if (key === "range") view.range = readRange(value);
    else if (key === "plot") {
      const colon = value.indexOf(":");
      const parameters = value
        .slice(colon + 1)
        .split(",")
        .filter((p) => p.includes("/"));
      if (colon > 0 && parameters.length) view.plots.push({ mission: value.slice(0, colon), parameters });
    }
  }
  return view;
}
