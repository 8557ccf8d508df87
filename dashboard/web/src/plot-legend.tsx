/** What a plot says of each of its parameters: its name, and its value at the cursor or the newest. */
import { useComputed, type Signal } from "@preact/signals";
import type { Readings } from "./cursor";
import { Expired } from "./expired";
import { valueText } from "./format";
import type { Parameter } from "./model";
import { ageEdge, latest, removeFromPlot, tick, timeOf, type Plot } from "./state";

interface LegendProps {
  plot: Plot;
  parameter: Parameter;
  place: number;
  readings: Signal<Readings>;
}

export function LegendEntry({ plot, parameter, place, readings }: LegendProps) {
  const alike = plot.parameters.filter((name) => name.endsWith(`/${parameter.parameter}`)).length > 1;
  const text = useComputed(() => {
    const { at, rows } = readings.value;
    if (at !== null) return rows[place]?.text ?? "–";
    void tick.value;
    const newest = latest.get(plot.mission, parameter.name);
    return newest ? valueText(newest.value, parameter) : "–";
  });
  const expired = useComputed(() => {
    const time = timeOf(plot.mission);
    const edge = ageEdge(plot.mission, tick.value);
    return readings.value.at === null && latest.expired(plot.mission, parameter, edge, time.rate);
  });
  const band = useComputed(() => (readings.value.at === null ? null : (readings.value.rows[place]?.band ?? null)));
  return (
    <li class={`series series-${place % 8} ${expired.value ? "expired" : ""}`}>
      <i aria-hidden="true" />
      <span class="name" title={`${parameter.name}\n${parameter.description}`}>
        {alike ? parameter.name : parameter.parameter}
      </span>
      <b>
        {expired.value && <Expired />}
        {text}
      </b>
      {parameter.unit && <small>{parameter.unit}</small>}
      {band.value && <small class="band">{band}</small>}
      <button
        type="button"
        aria-label={`Remove ${parameter.name} from the plot`}
        onClick={() => removeFromPlot(plot.id, parameter.name)}
      >
        ×
      </button>
    </li>
  );
}
