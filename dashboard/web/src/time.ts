/** Instants are int64 nanoseconds since 1970 UTC, carried as bigint; nothing here rounds one. */
export type Ns = bigint;

export const SECOND: Ns = 1_000_000_000n;
const DAY: Ns = 86_400n * SECOND;

/** Seconds as nanoseconds, to the nearest nanosecond that a float64 can name. */
export const fromSeconds = (seconds: number): Ns => BigInt(Math.round(seconds * 1e9));

/** The difference `a - b` in seconds. Exact to the nanosecond within 104 days. */
export const secondsBetween = (a: Ns, b: Ns): number => Number(a - b) / 1e9;

const floorDiv = (a: bigint, b: bigint): bigint => (a >= 0n || a % b === 0n ? a / b : a / b - 1n);

/** Splits into the days since 1970, and the time of that day in nanoseconds. */
function split(ns: Ns): [days: bigint, rest: bigint] {
  const days = floorDiv(ns, DAY);
  return [days, ns - days * DAY];
}

function timeOfDay(rest: bigint, digits: number): string {
  const seconds = Number(rest / SECOND);
  const pad = (n: number): string => String(n).padStart(2, "0");
  const whole = `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  if (digits === 0) return whole;
  return `${whole}.${String(rest % SECOND)
    .padStart(9, "0")
    .slice(0, digits)}`;
}

/** The calendar day in UTC, or the count of days since the onboard clock's zero where the epoch isn't known. */
export function dateText(ns: Ns, absolute = true): string {
  const [days] = split(ns);
  return absolute ? new Date(Number(days) * 86_400_000).toISOString().slice(0, 10) : `day ${days}`;
}

/** Time of day, cut (not rounded) to `digits` decimals. */
export const timeText = (ns: Ns, digits = 0): string => timeOfDay(split(ns)[1], digits);

/** Date and time of day; `absolute` false counts days from the onboard clock's zero. */
export const instantText = (ns: Ns, digits = 0, absolute = true): string =>
  `${dateText(ns, absolute)} ${timeText(ns, digits)}`;

/** ISO 8601 in UTC with as many decimals as the instant needs (none to nine). */
export function toIso(ns: Ns): string {
  const fraction = timeText(ns, 9).slice(9).replace(/0+$/, "");
  return `${dateText(ns)}T${timeText(ns)}${fraction && `.${fraction}`}Z`;
}

const ISO = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z?$/;

/** Reads what {@link toIso} writes; null for anything else. */
export function parseIso(text: string): Ns | null {
  const match = ISO.exec(text.trim());
  if (!match) return null;
  const ms = Date.parse(`${match[1]}T${match[2]}Z`);
  if (Number.isNaN(ms)) return null;
  return BigInt(ms) * 1_000_000n + BigInt((match[3] ?? "").padEnd(9, "0"));
}

/** A length of time for people: "350 ms", "12.4 s", "5 min 30 s", "2 h 05 min", "3 d 4 h". */
export function durationText(seconds: number): string {
  const s = Math.abs(seconds);
  const sign = seconds < 0 ? "−" : "";
  if (s < 1) return `${sign}${Math.round(s * 1000)} ms`;
  if (s < 59.95) return `${sign}${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  const whole = Math.round(s);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${sign}${minutes} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${sign}${hours} h${minutes % 60 ? ` ${String(minutes % 60).padStart(2, "0")} min` : ""}`;
  return `${sign}${Math.floor(hours / 24)} d${hours % 24 ? ` ${hours % 24} h` : ""}`;
}

/** "in" a countdown as a clock face: "00:04:31", "2 d 03:10:00". */
export function countdownText(seconds: number): string {
  const [days, rest] = split(fromSeconds(Math.max(0, Math.floor(seconds))));
  return `${days > 0n ? `${days} d ` : ""}${timeOfDay(rest, 0)}`;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400].map(
  (s) => BigInt(s) * SECOND,
);

/** The smallest round step (1-2-5 below a second, clock-like above it) that is no shorter than `atLeast`. */
export function tickStep(atLeast: Ns): Ns {
  if (atLeast < SECOND) {
    for (let decade = 1n; decade < SECOND; decade *= 10n)
      for (const factor of [1n, 2n, 5n]) if (decade * factor >= atLeast) return decade * factor;
  }
  for (const step of STEPS) if (step >= atLeast) return step;
  let days = 2n;
  while (days * DAY < atLeast) days *= 2n;
  return days * DAY;
}

/** The multiples of `step` in [start, stop]. */
export function ticks(start: Ns, stop: Ns, step: Ns): Ns[] {
  const all: Ns[] = [];
  for (let t = -floorDiv(-start, step) * step; t <= stop; t += step) all.push(t);
  return all;
}

/** Labels for ticks: as many decimals as the step needs, and the date under the first tick of each day. */
export function tickLabels(at: readonly Ns[], step: Ns, absolute: boolean): string[] {
  let digits = 0;
  for (let unit = SECOND; unit > 1n && step % unit !== 0n; unit /= 10n) digits++;
  let day = "";
  return at.map((ns) => {
    const date = dateText(ns, absolute);
    const clock = step % 60n === 0n && step >= 60n * SECOND ? timeText(ns).slice(0, 5) : timeText(ns, digits);
    const label = date === day ? clock : `${clock}\n${date}`;
    day = date;
    return label;
  });
}
