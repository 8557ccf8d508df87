/** What a plot shows, for other tools: one line a sample, instants exact to the nanosecond. */
import { exactText } from "./format";
import type { Parameter } from "./model";
import type { Series } from "./series";
import { toIso, type Ns } from "./time";

const COLUMNS = "time,ns,parameter,unit,value,minimum,maximum";

const quoted = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const number = (value: number): string => (Number.isNaN(value) ? "" : exactText(value));

/**
 * The samples of [start, stop) as CSV, parameter by parameter. `ns` counts from 1970 UTC, or from the onboard clock's
 * zero where its epoch isn't known; then `time` is empty. Where there are more samples than pixels a line is a bucket:
 * its mean (of a state: the last one), minimum and maximum.
 */
export function csv(
  parameters: readonly Parameter[],
  series: readonly Series[],
  [start, stop]: readonly [Ns, Ns],
  absolute: boolean,
): string {
  const lines = [COLUMNS];
  parameters.forEach(({ name, unit }, place) => {
    const { length, time, line, low, high } = series[place]!;
    for (let i = 0; i < length; i++) {
      const at = time[i]!;
      if (at < start || at >= stop) continue;
      const values = [line[i]!, low[i]!, high[i]!].map(number);
      lines.push([absolute ? toIso(at) : "", String(at), quoted(name), quoted(unit), ...values].join());
    }
  });
  return `${lines.join("\n")}\n`;
}

/** Hands what is at an address to the browser as a file; without a name the server's answer has it. */
export function download(url: string, name = ""): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

/** Hands a text to the browser as a file. */
export function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  download(url, name);
  URL.revokeObjectURL(url);
}
