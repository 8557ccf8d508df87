/** Dark or light: the system's preference until somebody chooses, then their choice. */
import { effect, signal } from "@preact/signals";

export type Theme = "dark" | "light";

const KEY = "perilune-theme";
const system = matchMedia("(prefers-color-scheme: light)");

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "dark" || value === "light" ? value : null;
  } catch {
    return null; // storage is switched off
  }
}

export const theme = signal<Theme>(stored() ?? (system.matches ? "light" : "dark"));

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

system.addEventListener("change", () => {
  if (!stored()) theme.value = system.matches ? "light" : "dark";
});

export function toggle(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // The choice lasts as long as the page.
  }
}
