import { useEffect, useRef } from "preact/hooks";
import { readingsOf } from "./coordinates";
import { useApp } from "./context";
import { MapView } from "./map";
import { EditNotice } from "./edit";
import { AsOfBanner, Bar } from "./panels/bar";
import { Controls, Picking } from "./panels/controls";
import { Help } from "./panels/help";
import { Legend } from "./panels/legend";
import { Panel, sheetHeight } from "./panels/panel";
import { SignIn } from "./panels/sign_in";
import { Tooltip } from "./panels/tooltip";
import { RegistryHead, RegistryMain } from "./registry";
import { RegistryLocked } from "./registry/locked";
import type { State } from "./state";
import { linkedIn } from "./url";

/** Height of the phone's bar of workspaces in CSS pixels. */
const TABS = 56;

/** What the first view keeps free: the open legend, or what lies over the phone's map, and a margin. */
const spared = ({ legend, phone, sheet, workspace }: State) =>
  phone ? (workspace === "registry" ? { top: 20, bottom: 20, left: 20, right: 20 } : { top: 150, bottom: sheetHeight(sheet, window.innerHeight) + 60, left: 24, right: 24 }) : { top: 24, bottom: 40, left: 24, right: legend ? 348 : 64 };

/** The map in its place, made once. */
function MapPane() {
  const { act } = useApp();
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!holder.current || act.view) return;
    const { state } = act;
    const placed = linkedIn(location.search).view !== null;
    const whole = placed || state.incident ? null : act.service.bbox;
    const view = new MapView(holder.current, act.service, act.drawn, state.view, whole, spared(state), act.choice, {
      moved: (view) => {
        act.set({ view }, "replace");
        void act.list();
      },
      hovered: (hit) => { act.hover.set(hit); },
      clicked: (hit, position) => { act.mapClicked(hit, position); },
      held: (position) => { if (act.shown === "respond" && !act.state.editing) act.setIncident(position); },
      failed: (source, reason) => { act.set({ failed: { ...act.state.failed, [source]: reason } }); },
      busy: (busy) => { act.set({ busy }); },
      counted: (seen) => { act.counted(seen); },
      aged: (asOf) => { act.aged(asOf); },
    });
    act.view = view;
    Object.assign(window, { leeward: { map: view.map, act, readingsOf } });
    view.map.once("style.load", () => {
      act.start(!placed);
      act.live.start();
    });
  }, []);
  return <div class="map" ref={holder} />;
}

/** Bar, panel, map; on a phone the panel is a sheet over the map's lower part. */
export function App() {
  const { act, state, text } = useApp();
  const shown = act.drawn.filter((one) => act.visible(one.id));
  const sample = shown.some((one) => one.counts.sample > 0);
  const canvas = act.view?.map.getCanvas();
  useEffect(() => { canvas?.setAttribute("aria-label", text.t("map_help")); }, [canvas, text.lang]);
  useEffect(() => {
    const tabs = state.phone && act.workspaces.length > 1 ? TABS : 0;
    const height = state.phone ? sheetHeight(state.sheet, window.innerHeight - tabs, state.editing !== null) : 0;
    document.documentElement.style.setProperty("--sheet", `${height}px`);
    act.view?.pad(state.sheet === "full" ? 0 : height + tabs);
  }, [state.phone, state.sheet, state.editing === null, act.view, state.account.name]);
  const registry = act.shown === "registry";
  const locked = registry && !act.session.may("read");
  const busy = state.editing !== null || state.importing !== null;
  const onMap = act.mapShown && !locked;
  const panel = !locked && (onMap || state.selected !== null);
  const layout = ["layout", panel ? "" : "no-panel", onMap ? "" : "no-map", state.importing !== null ? "wide-panel" : "", state.phone && act.workspaces.length > 1 ? "with-tabs" : "", registry && !locked && !busy ? "with-head" : ""].filter(Boolean).join(" ");
  return (
    <div class={layout}>
      <a class="skip" href="#results" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>("[data-row], .panel")?.focus(); }}>{text.t("skip_to_list")}</a>
      <Bar />
      <AsOfBanner />
      {registry && !locked && !busy && <RegistryHead />}
      {panel && <Panel />}
      <main class="map-pane" data-region={onMap ? "map" : undefined} aria-label={text.t("map")} inert={!onMap}>
        <MapPane />
        <div class={state.busy ? "progress on" : "progress"} aria-hidden="true" />
        <Tooltip />
        <Picking />
        <Controls />
        <Legend />
        {sample && onMap && <p class="sample-notice" role="note">{text.t("sample_notice")}</p>}
      </main>
      {locked ? <RegistryLocked /> : registry && !busy && <RegistryMain />}
      {state.toast && <p class="toast">{state.toast}</p>}
      <EditNotice />
      <Help />
      <SignIn />
      <p class="away" role="status" aria-live="polite">{state.said}</p>
    </div>
  );
}
