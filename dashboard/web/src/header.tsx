import type { Connection } from "./feed";
import { connection } from "./state";
import { theme, toggle } from "./theme";

const WORDS: Record<Connection, string> = {
  connecting: "Connecting …",
  connected: "Connected",
  lost: "Connection lost, trying again",
};
const SIGNS: Record<Connection, string> = { connecting: "○", connected: "●", lost: "▲" };

export function Header() {
  const state = connection.value;
  const other = theme.value === "dark" ? "light" : "dark";
  return (
    <header class="header">
      <h1>
        <img src="/perilune.svg" alt="" width="22" height="22" />
        Perilune <span>Ground</span>
      </h1>
      <span class="spacer" />
      <span class={`conn conn-${state}`} role="status" aria-live="polite" data-testid="conn-state" data-state={state}>
        <i aria-hidden="true">{SIGNS[state]}</i> {WORDS[state]}
      </span>
      <button
        type="button"
        class="quiet"
        onClick={toggle}
        aria-label={`Switch to the ${other} theme`}
        data-testid="theme"
      >
        <span aria-hidden="true">{other === "light" ? "☀" : "☾"}</span>{" "}
        <span class="wide">{other === "light" ? "Light" : "Dark"}</span>
      </button>
    </header>
  );
}
