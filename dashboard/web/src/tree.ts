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

/** What is worth seeing first: a plot each of power, what the instruments count, temperatures and the radio link. */
const LOOKS: readonly (readonly (readonly RegExp[])[])[] = [
  [
    [/battery_?charge|state_of_charge|(^|_)soc(_|$)/, /battery_?voltage/],
    [/array_?power/, /array_?current/],
  ],
  [[/neutrons_epithermal/, /proton_density/, /count_?rate/], [/neutrons_thermal/, /proton_speed/]],
  [[/battery_?temp/], [/transmitter_?temp/, /computer_?temp/]],
  [[/receiver_?power/, /signal/], [/uplink_?eb_?n0/, /snr/]],
];

const numeric = (p: Parameter): boolean => p.kind === "float" || p.kind === "integer";

/** The parameters of the first plots, one or two each, of a mission that nobody has chosen anything of yet. */
export function firstLook(parameters: readonly Parameter[]): string[][] {
  const drawn = parameters.filter(numeric);
  const find = (pattern: RegExp): Parameter | undefined => drawn.find((p) => pattern.test(p.parameter.toLowerCase()));
  const looks = LOOKS.map((lines) => {
    const best = lines.map((patterns) => patterns.map(find).find((p) => p !== undefined));
    const first = best.find((p) => p !== undefined);
    return best.filter((p) => p && p.container === first!.container).map((p) => p!.name);
  }).filter((names) => names.length);
  if (looks.length || !drawn[0]) return looks;
  return [drawn.filter((p) => p.container === drawn[0]!.container).slice(0, 2).map((p) => p.name)];
}
