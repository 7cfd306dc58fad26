import { useEffect, useRef } from "preact/hooks";
import { readingsOf } from "./coordinates";
import { useApp } from "./context";
import { MapView } from "./map";
import { Bar } from "./panels/bar";
import { Controls, Picking } from "./panels/controls";
import { Help } from "./panels/help";
import { Legend } from "./panels/legend";
import { Panel, sheetHeight } from "./panels/panel";
import { Tooltip } from "./panels/tooltip";
import { type State, themeOf } from "./state";
import { linkedIn } from "./url";

/** What the first view keeps free: the open legend, or what lies over the phone's map, and a margin. */
const spared = ({ legend, phone, sheet }: State) =>
  phone ? { top: 150, bottom: sheetHeight(sheet, window.innerHeight) + 60, left: 24, right: 24 } : { top: 24, bottom: 40, left: 24, right: legend ? 348 : 64 };

/** The map in its place, made once. */
function MapPane() {
  const { act } = useApp();
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!holder.current || act.view) return;
    const { state } = act;
    const placed = linkedIn(location.search).view !== null;
    const whole = placed || state.incident ? null : act.service.bbox;
    const choice = { theme: themeOf(state), lang: state.lang, visible: (id: string) => act.visible(id) };
    const view = new MapView(holder.current, act.service, act.drawn, state.view, whole, spared(state), choice, {
      moved: (view) => {
        act.set({ view }, "replace");
        void act.list();
      },
      hovered: (hit) => { act.hover.set(hit); },
      clicked: (hit, position) => { act.mapClicked(hit, position); },
      held: (position) => { act.setIncident(position); },
      failed: (source, reason) => { act.set({ failed: { ...act.state.failed, [source]: reason } }); },
      busy: (busy) => { act.set({ busy }); },
      counted: (counts) => { act.set({ counts }); },
    });
    act.view = view;
    Object.assign(window, { leeward: { map: view.map, act, readingsOf } });
    view.map.once("style.load", () => { act.start(!placed); });
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
    const height = state.phone ? sheetHeight(state.sheet, window.innerHeight) : 0;
    document.documentElement.style.setProperty("--sheet", `${height}px`);
    act.view?.pad(state.sheet === "full" ? 0 : height);
  }, [state.phone, state.sheet, act.view]);
  return (
    <>
      <a class="skip" href="#results" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>("[data-row], .panel")?.focus(); }}>{text.t("skip_to_list")}</a>
      <Bar />
      <Panel />
      <main class="map-pane" data-region="map" aria-label={text.t("map")}>
        <MapPane />
        <div class={state.busy ? "progress on" : "progress"} aria-hidden="true" />
        <Tooltip />
        <Picking />
        <Controls />
        <Legend />
        {sample && <p class="sample-notice" role="note">{text.t("sample_notice")}</p>}
        {state.toast && <p class="toast">{state.toast}</p>}
      </main>
      <Help />
      <p class="away" role="status" aria-live="polite">{state.said}</p>
    </>
  );
}
