/** A plot's data as files: what is drawn, or every sample behind it from the store, exactly. */
import type { RefObject } from "preact";
import { rowsUrl } from "./api";
import type { PlotView } from "./plot-view";
import type { Plot } from "./state";
import { download, save } from "./table";

const FORMATS = [
  ["csv", "CSV"],
  ["parquet", "Parquet"],
  ["arrow", "Arrow"],
] as const;

interface Props {
  plot: Plot;
  view: RefObject<PlotView | null>;
}

export function SaveMenu({ plot, view }: Props) {
  const drawn = (): void => {
    const table = view.current?.table();
    if (table) save(table.name, table.text);
  };
  const samples = (format: string) => (): void => {
    const window = view.current?.shown();
    if (!window) return;
    // A file a container: their packets come at times of their own.
    for (const container of new Set(plot.parameters.map((name) => name.split("/")[0]!))) {
      const names = plot.parameters.filter((name) => name.startsWith(`${container}/`));
      download(rowsUrl(plot.mission, container, names, window, format));
    }
  };
  const close = (event: Event): void => {
    (event.currentTarget as HTMLElement).closest("details")!.open = false;
  };
  return (
    <details
      class="menu"
      onKeyDown={(event) => event.key === "Escape" && close(event)}
      onFocusOut={(event) => {
        const to = event.relatedTarget as Node | null;
        if (to && !event.currentTarget.contains(to)) close(event);
      }}
    >
      <summary class="tool" aria-label="Save the data" title="Save the data" data-testid="save-menu">
        ⤓
      </summary>
      <ul onClick={close}>
        <li>
          <button type="button" class="quiet" data-testid="save" onClick={drawn}>
            As drawn, CSV
          </button>
        </li>
        {FORMATS.map(([format, title]) => (
          <li key={format}>
            <button type="button" class="quiet" data-testid={`save-${format}`} onClick={samples(format)}>
              All samples, {title}
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
