/** When the line between two samples would lie: they are further apart than the parameter's own rhythm explains. */

/** Intervals without data after which the line breaks. */
const INTERVALS = 5;
/** The same in terms of the longer intervals, for parameters that come in bursts. */
const LONG_INTERVALS = 2.5;
const PROBES = 256;

/**
 * The longest step in `x[start..stop)` that still counts as continuous, in x's unit; Infinity where there are too few
 * samples to know a rhythm. Judged by up to 256 evenly spread steps, so that it costs the same for any length.
 */
export function longestStep(x: Float64Array, start: number, stop: number): number {
  const steps: number[] = [];
  const stride = Math.max(1, Math.floor((stop - start - 1) / PROBES));
  for (let i = start + 1; i < stop; i += stride) {
    const step = x[i]! - x[i - 1]!;
    if (step > 0) steps.push(step);
  }
  if (steps.length < 3) return Infinity;
  steps.sort((a, b) => a - b);
  const at = (share: number): number => steps[Math.floor(share * (steps.length - 1))]!;
  return Math.max(INTERVALS * at(0.5), LONG_INTERVALS * at(0.9));
}
