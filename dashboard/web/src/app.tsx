import { signal } from "@preact/signals";
import { ConductorBar } from "./conductor-bar";
import { EventPanel } from "./events";
import { Header } from "./header";
import { LedgerPanel } from "./ledger";
import { MissionCards } from "./mission-cards";
import { PlotPanel } from "./plot-panel";
import { banner, plots, problem, silentSince, trouble, visible } from "./state";
import { timeText } from "./time";
import { TreePanel } from "./tree-panel";
import { ValuePanel } from "./values";

/** On a narrow screen the tree is a drawer. */
const drawer = signal(false);

addEventListener("keydown", (event) => {
  if (event.key === "Escape") drawer.value = false;
});

function Notices() {
  const shown = banner.value;
  const since = silentSince.value;
  return (
    <>
      {since !== null && (
        <div class="banner banner-silent" role="alert" data-testid="silent">
          ▲ No connection since {timeText(since)} UTC. What you see is old; trying to connect again.
        </div>
      )}
      {shown && (
        <div class={`banner ${shown.replay ? "banner-replay" : ""}`} role="status" data-testid="banner">
          {shown.text}
        </div>
      )}
      {trouble.value && (
        <div class="banner banner-problem" role="alert" data-testid="trouble">
          ▲ {trouble.value}
        </div>
      )}
      {problem.value && (
        <div class="banner banner-problem" role="alert">
          <span>▲ {problem.value}</span>
          <button type="button" class="quiet" onClick={() => (problem.value = null)}>
            Dismiss
          </button>
        </div>
      )}
    </>
  );
}

function Plots() {
  return (
    <main class="plots" aria-label="Plots">
      <ConductorBar onParameters={() => (drawer.value = true)} />
      <div class="plot-list">
        {plots.value.map((plot) => (
          <PlotPanel key={plot.id} plot={plot} />
        ))}
        {plots.value.length === 0 && (
          <p class="empty">
            {visible.value.length
              ? "No plot is open. Choose a parameter in the tree to draw it."
              : "Waiting for a mission: none is simulated and none has sent data yet."}
          </p>
        )}
      </div>
    </main>
  );
}

export function App() {
  return (
    <div class={`app ${drawer.value ? "drawer-open" : ""} ${silentSince.value === null ? "" : "silent-server"}`}>
      <Header />
      <Notices />
      <MissionCards />
      <div class="columns">
        <TreePanel onClose={() => (drawer.value = false)} />
        <button
          type="button"
          class="scrim"
          aria-label="Close the parameter tree"
          tabIndex={-1}
          onClick={() => (drawer.value = false)}
        />
        <Plots />
        <aside class="side" aria-label="Values, ledger and events">
          <ValuePanel />
          <LedgerPanel />
          <EventPanel />
        </aside>
      </div>
    </div>
  );
}
