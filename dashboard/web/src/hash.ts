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

/** A name in the address. What separates names there (`:`, `,`, `;`, `=`, `&`) is encoded in them. */
const encode = (text: string): string => encodeURIComponent(text).replaceAll("%2F", "/");

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
    const [mission, window] = cutAt(part, ":");
    const [start = null, stop = null] = window.split("/").map(parseIso);
    if (!mission || start === null || stop === null || stop <= start) return null;
    windows[decode(mission)] = [start, stop];
    span = secondsBetween(stop, start);
  }
  return span > 0 ? { kind: "fixed", span, windows } : null;
}

/** The text before and after the first `mark`; all of it before where there is none. */
function cutAt(text: string, mark: string): [before: string, after: string] {
  const cut = text.indexOf(mark);
  return cut < 0 ? [text, ""] : [text.slice(0, cut), text.slice(cut + 1)];
}

/** Undoes the encoding of the marks between names, which mail and chat programs add to links. */
function marks(text: string): string {
  if (/[:,;/]/.test(text)) return text;
  return text.replace(/%(3A|2C|3B|2F)/gi, decodeURIComponent);
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
    const [key, value] = cutAt(part, "=");
    if (key === "mission") view.mission = decode(value) || null;
    else if (key === "values") view.values = decode(value) || null;
    else if (key === "range") view.range = readRange(marks(value));
    else if (key === "plot") {
      const [mission, names] = cutAt(marks(value), ":");
      const parameters = names
        .split(",")
        .map(decode)
        .filter((p) => p.includes("/"));
      const of = decode(mission);
      if (of && parameters.length) view.plots.push({ mission: of, parameters });
    }
  }
  return view;
}
