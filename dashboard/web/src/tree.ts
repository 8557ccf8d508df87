/** The parameter tree: containers, their parameters, and what a search leaves of them. */
import type { Parameter } from "./model";

export interface Branch {
  container: string;
  parameters: Parameter[];
}

/** Containers in the order of the definition, with the parameters that contain every word of the query. */
export function branches(parameters: readonly Parameter[], query: string): Branch[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = new Map<string, Parameter[]>();
  for (const parameter of parameters) {
    const text = `${parameter.name} ${parameter.name.replaceAll("_", " ")} ${parameter.unit} ${parameter.description}`;
    const haystack = text.toLowerCase();
    if (!words.every((word) => haystack.includes(word))) continue;
    const branch = found.get(parameter.container);
    if (branch) branch.push(parameter);
    else found.set(parameter.container, [parameter]);
  }
  return Array.from(found, ([container, itsParameters]) => ({ container, parameters: itsParameters }));
}

/** What is worth seeing first, best first; a parameter counts by the first pattern that it matches. */
const FIRST_LOOK = [
  /battery_?charge|state_of_charge|soc\b|_soc/,
  /battery_?voltage/,
  /voltage/,
  /array_?(power|current)/,
  /range/,
  /temp/,
];
const HOME = /^(power|eps|electrical)/i;

/** Two parameters for a first plot of a mission that nobody has chosen anything of yet. */
export function firstLook(parameters: readonly Parameter[]): string[] {
  const scored = parameters
    .filter((p) => p.kind === "float" || p.kind === "integer")
    .map((p, place) => {
      const name = p.parameter.toLowerCase();
      const found = FIRST_LOOK.findIndex((pattern) => pattern.test(name));
      const kind = p.kind === "float" ? 0 : 50;
      return { p, score: (found < 0 ? 30 : found) + (HOME.test(p.container) ? 0 : 10) + kind + place / 1e4 };
    })
    .sort((a, b) => a.score - b.score);
  const best = scored[0]?.p;
  if (!best) return [];
  const sameContainer = scored.slice(1).filter(({ p }) => p.container === best.container);
  const second = sameContainer.find(({ p }) => p.unit !== best.unit) ?? sameContainer[0];
  return second ? [best.name, second.p.name] : [best.name];
}
