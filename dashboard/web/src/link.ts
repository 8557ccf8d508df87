/** Why a station does or doesn't receive, in words: the three silences are three different things. */
import type { StationReport } from "./model";
import type { Ns } from "./time";

export type LinkKind = "receiving" | "standby" | "look" | "absent" | "unknown";

export interface LinkState {
  kind: LinkKind;
  text: string;
}

/** Without frames for this long (s) during a pass, somebody should look. */
const PATIENCE_S = 15;

export const LINK_SIGNS: Record<LinkKind, string> = {
  receiving: "●",
  standby: "◐",
  look: "▲",
  absent: "○",
  unknown: "·",
};

/** Whether frames come from a station now. */
export const delivers = (silence: number | null): boolean => silence !== null && silence < PATIENCE_S;

/**
 * @param report the station's own account; undefined where it sends none (a published recording)
 * @param silence seconds since frames last came from this station; null where none came since the page opened
 * @param watched seconds since the page opened
 * @param relieved whether another station of the mission delivers: one is enough, the others may rest
 * @param playback whether what the spacecraft recorded is coming, too
 */
export function linkState(
  report: StationReport | undefined,
  silence: number | null,
  watched: number,
  relieved = false,
  playback = false,
): LinkState {
  const receiving: LinkState = { kind: "receiving", text: playback ? "receiving, with playback" : "receiving" };
  if (!report) return delivers(silence) ? receiving : { kind: "unknown", text: "no frames now" };
  if (!report.in_view) return { kind: "absent", text: report.reason || "not in view" };
  if (delivers(silence)) return receiving;
  if (relieved) return { kind: "standby", text: "in view, standing by" };
  if ((silence ?? watched) < PATIENCE_S) return { kind: "standby", text: "in view" };
  return { kind: "look", text: "no data during a pass: look into it" };
}

/** That no station can hear the spacecraft now: why, and when which of them will. */
export interface NoContact {
  why: string;
  next: { time: Ns; station: string } | null;
}

/** Null where some station could hear it, or none says. */
export function noContact(reports: readonly StationReport[]): NoContact | null {
  if (!reports.length || reports.some((report) => report.in_view)) return null;
  // What hides it from a station that would see it counts for more than that the others look elsewhere.
  const below = (reason: string): number => Number(reason.startsWith("below"));
  const reasons = [...new Set(reports.map(({ reason }) => reason))].sort((a, b) => below(a) - below(b));
  const coming = reports
    .filter(({ next }) => next?.event === "AOS")
    .map(({ next, station }) => ({ time: BigInt(next!.time), station }))
    .sort((a, b) => (a.time < b.time ? -1 : 1));
  return { why: reasons.join(", "), next: coming[0] ?? null };
}
