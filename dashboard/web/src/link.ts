/** Why a station does or doesn't receive, in words: the three silences are three different things. */
import type { StationReport } from "./model";

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
 */
export function linkState(
  report: StationReport | undefined,
  silence: number | null,
  watched: number,
  relieved = false,
): LinkState {
  if (!report) {
    if (delivers(silence)) return { kind: "receiving", text: "receiving" };
    return { kind: "unknown", text: "no frames now" };
  }
  if (!report.in_view) return { kind: "absent", text: report.reason || "not in view" };
  if (delivers(silence)) return { kind: "receiving", text: "receiving" };
  if (relieved) return { kind: "standby", text: "in view, standing by" };
  if ((silence ?? watched) < PATIENCE_S) return { kind: "standby", text: "in view" };
  return { kind: "look", text: "no data during a pass: look into it" };
}
