/** One animation frame for all plots: they are painted together or not at all. */
type Paint = (nowMs: number) => void;

const painters = new Set<Paint>();
let scheduled = false;

function run(nowMs: number): void {
  scheduled = false;
  for (const paint of painters) paint(nowMs);
  schedule();
}

function schedule(): void {
  if (scheduled || !painters.size) return;
  scheduled = true;
  requestAnimationFrame(() => run(performance.now()));
}

/** Calls `paint` with every frame while the page is visible; returns how to stop it. */
export function onFrame(paint: Paint): () => void {
  painters.add(paint);
  schedule();
  return () => painters.delete(paint);
}
