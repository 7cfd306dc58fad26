/** Keyboard: single keys work wherever the focus is, but in a text field; they can be switched off. */
import type { Controller } from "./controller";
import type { RegistryView } from "./state";

const PAN_PX = 40;

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.matches("input:not([type=checkbox]), textarea, select") || target.isContentEditable);

function focusMapOrList(act: Controller): void {
  const canvas = act.view?.map.getCanvas();
  if (act.mapShown && document.activeElement !== canvas) {
    canvas?.focus();
    return;
  }
  const row = document.querySelector<HTMLElement>(".row.selected [data-row], .skipped.selected [data-row]") ?? document.querySelector<HTMLElement>("[data-row]");
  (row ?? document.querySelector<HTMLElement>(".panel"))?.focus();
}

/** Search, panel, map, legend, in turn. */
function focusNextRegion(back: boolean): void {
  const regions = [...document.querySelectorAll<HTMLElement>("[data-region]")];
  const now = regions.findIndex((region) => region.contains(document.activeElement));
  const next = regions[(now + (back ? -1 : 1) + regions.length) % regions.length];
  (next?.querySelector<HTMLElement>("input, canvas") ?? next)?.focus();
}

function pickingKey(act: Controller, event: KeyboardEvent): boolean {
  const map = act.view?.map;
  const step = event.shiftKey ? 5 * PAN_PX : PAN_PX;
  const pans: Record<string, [number, number]> = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const pan = pans[event.key];
  if (pan) {
    map?.panBy(pan, { duration: 0 });
    return true;
  }
  if (event.key === "Enter" && !(event.target instanceof HTMLButtonElement)) {
    act.confirmPick();
    return true;
  }
  return false;
}

/** Listens to the whole page. */
export function listenToKeys(act: Controller): void {
  const keys: Record<string, () => void> = {
    "/": () => { document.getElementById("search")?.focus(); },
    i: () => { if (act.shown === "respond") act.pick(); },
    m: () => { focusMapOrList(act); },
    "[": () => { act.stepRow(-1); },
    "]": () => { act.stepRow(1); },
    l: () => {
      act.set({ legend: true });
      requestAnimationFrame(() => document.querySelector<HTMLElement>(".legend input")?.focus());
    },
    g: () => { act.set({ legend: !act.state.legend }); },
    "?": () => { act.set({ help: true }); },
    w: () => {
      const { workspaces } = act;
      const next = workspaces[(workspaces.indexOf(act.shown) + 1) % workspaces.length];
      if (next) act.open(next);
    },
    ...Object.fromEntries((["board", "table", "map"] as RegistryView[]).map((view, index) => [String(index + 1), () => {
      if (act.shown === "registry" && act.registry.views.includes(view)) act.registry.show({ view });
    }])),
  };
  // Before the map's own handler, so that arrows move the cross by one step and not two.
  addEventListener("keydown", (event) => {
    if (event.key === "F6") {
      event.preventDefault();
      focusNextRegion(event.shiftKey);
      return;
    }
    if (event.key === "Escape" && !event.defaultPrevented) {
      act.escape();
      return;
    }
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (act.state.picking && pickingKey(act, event)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const run = act.state.keys ? keys[event.key.length === 1 ? event.key.toLowerCase() : event.key] : undefined;
    if (!run) return;
    event.preventDefault();
    run();
  }, { capture: true });
}
