import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { plottable, type Parameter } from "./model";
import { addToPlot, container, current, openPlot, parameters, plots, selectedMission } from "./state";
import { branches } from "./tree";

/** Moves the focus among the rows that are on screen. */
function step(from: HTMLElement, by: number): void {
  const rows = [...from.closest("[role=tree]")!.querySelectorAll<HTMLElement>("[role=treeitem]")];
  rows[rows.indexOf(from) + by]?.focus();
}

interface LeafProps {
  mission: string;
  parameter: Parameter;
  drawn: boolean;
}

function Leaf({ mission, parameter, drawn }: LeafProps) {
  const can = plottable(parameter);
  const add = (): void => {
    if (can) addToPlot(mission, parameter.name);
    else container.value = parameter.container;
  };
  const onKeyDown = (event: KeyboardEvent & { currentTarget: HTMLElement }): void => {
    if (event.key === "ArrowDown") step(event.currentTarget, 1);
    else if (event.key === "ArrowUp") step(event.currentTarget, -1);
    else if (event.key === "Enter" && event.shiftKey && can) openPlot(mission, [parameter.name]);
    else if (event.key === "Enter" || event.key === " ") add();
    else return;
    event.preventDefault();
  };
  return (
    <li
      role="treeitem"
      aria-level={2}
      aria-selected={drawn}
      tabIndex={-1}
      class={`leaf ${drawn ? "drawn" : ""} ${can ? "" : "text-only"}`}
      title={`${parameter.description || parameter.name}${can ? "" : " (shown in the value table only)"}`}
      data-testid={`tree-${parameter.name}`}
      onClick={add}
      onKeyDown={onKeyDown}
    >
      <span class="name">{parameter.parameter}</span>
      <small>{parameter.unit}</small>
      {can && (
        <button
          type="button"
          tabIndex={-1}
          aria-label={`Open ${parameter.parameter} in a new plot`}
          title="New plot (Shift+Enter)"
          onClick={(event) => {
            event.stopPropagation();
            openPlot(mission, [parameter.name]);
          }}
        >
          ⊞
        </button>
      )}
    </li>
  );
}

export function TreePanel({ onClose }: { onClose: () => void }) {
  const query = useSignal("");
  const open = useSignal<ReadonlySet<string>>(new Set());
  const input = useRef<HTMLInputElement>(null);
  const mission = selectedMission.value;
  const all = (mission && parameters.value.get(mission.name)) || [];
  const found = branches(all, query.value);
  const plot = plots.value.find((p) => p.id === current.value && p.mission === mission?.name);

  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);

  const isOpen = (name: string): boolean => query.value !== "" || open.value.has(name) !== (name === container.value);
  const flip = (name: string): void => {
    const next = new Set(open.value);
    if (!next.delete(name)) next.add(name);
    open.value = next;
  };
  const onBranchKey =
    (name: string) =>
    (event: KeyboardEvent & { currentTarget: HTMLElement }): void => {
      if (event.key === "ArrowDown") step(event.currentTarget, 1);
      else if (event.key === "ArrowUp") step(event.currentTarget, -1);
      else if (event.key === "ArrowRight" && !isOpen(name)) flip(name);
      else if (event.key === "ArrowLeft" && isOpen(name)) flip(name);
      else if (event.key === "Enter" || event.key === " ") choose(name);
      else return;
      event.preventDefault();
    };
  const choose = (name: string): void => {
    if (container.value === name) return flip(name);
    const next = new Set(open.value);
    // The selected container is open by itself; what is in the set is turned the other way.
    if (container.value !== null && isOpen(container.value)) next.add(container.value);
    else if (container.value !== null) next.delete(container.value);
    next.delete(name);
    open.value = next;
    container.value = name;
  };

  return (
    <aside class="tree" aria-label="Parameters" data-testid="tree">
      <div class="search">
        <input
          ref={input}
          type="search"
          value={query.value}
          placeholder="Search parameters"
          aria-label="Search parameters"
          data-testid="search"
          onInput={(event) => (query.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") query.value = "";
            if (event.key !== "ArrowDown") return;
            event.preventDefault();
            document.querySelector<HTMLElement>(".tree [role=treeitem]")?.focus();
          }}
        />
        <kbd aria-hidden="true">/</kbd>
        <button type="button" class="quiet tree-close" aria-label="Close the parameter tree" onClick={onClose}>
          ×
        </button>
      </div>
      <p class="tree-title">
        <b>{mission?.title ?? "No mission"}</b>
        <span>
          {query.value ? `${found.reduce((n, b) => n + b.parameters.length, 0)} of ` : ""}
          {all.length} parameters
        </span>
      </p>
      <ul role="tree" aria-label={`Parameters of ${mission?.title ?? "the mission"}`}>
        {found.map(({ container: name, parameters: members }, place) => (
          <li key={name} role="none">
            <div
              role="treeitem"
              aria-level={1}
              aria-expanded={isOpen(name)}
              aria-selected={container.value === name}
              tabIndex={place === 0 ? 0 : -1}
              class={`branch ${container.value === name ? "chosen" : ""}`}
              onClick={() => choose(name)}
              onKeyDown={onBranchKey(name)}
            >
              <i aria-hidden="true">{isOpen(name) ? "▾" : "▸"}</i>
              <span class="name">{name}</span>
              <small>{members.length}</small>
            </div>
            {isOpen(name) && (
              <ul role="group">
                {members.map((p) => (
                  <Leaf
                    key={p.name}
                    mission={mission!.name}
                    parameter={p}
                    drawn={plot?.parameters.includes(p.name) ?? false}
                  />
                ))}
              </ul>
            )}
          </li>
        ))}
      </ul>
      {query.value && !found.length && (
        <p class="empty">No parameter has “{query.value}” in its name, unit or description.</p>
      )}
    </aside>
  );
}
