import { useApp } from "../context";

/** The column of buttons on the map. */
export function Controls() {
  const { act, state, text } = useApp();
  const map = () => act.view?.map;
  return (
    <div class="controls">
      {!state.phone && <button type="button" aria-label={text.t("zoom_in")} title={text.t("zoom_in")} onClick={() => { map()?.zoomIn(); }}>+</button>}
      {!state.phone && <button type="button" aria-label={text.t("zoom_out")} title={text.t("zoom_out")} onClick={() => { map()?.zoomOut(); }}>−</button>}
      {window.isSecureContext && "geolocation" in navigator && (
        <button type="button" aria-label={text.t("locate")} title={text.t("locate")} onClick={() => { act.locate(); }}>
          <svg viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="5" /><path d="M10 1v4M10 15v4M1 10h4M15 10h4" /></svg>
        </button>
      )}
      <button type="button" aria-label={text.t("legend_full")} title={text.t("legend_full")} aria-expanded={state.legend} onClick={() => { act.set({ legend: !state.legend }); }}>
        <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M10 2 2 7l8 5 8-5zM3 11l7 4.5L17 11M3 14.5 10 19l7-4.5" /></svg>
      </button>
    </div>
  );
}

/** The cross in the middle of the map, and what to do with it. */
export function Picking() {
  const { act, state, text } = useApp();
  if (!state.picking) return null;
  return (
    <>
      <div class="cross" aria-hidden="true"><svg viewBox="0 0 60 60"><path class="halo" d="M30 4v20M30 36v20M4 30h20M36 30h20" /><path d="M30 4v20M30 36v20M4 30h20M36 30h20" /><circle cx="30" cy="30" r="2.5" /></svg></div>
      <div class="picking" role="group" aria-label={text.t("incident_pick")}>
        <span>{text.t("incident_pick")}</span>
        <button type="button" class="primary" onClick={() => { act.confirmPick(); }}>{text.t("incident_confirm")}</button>
        <button type="button" onClick={() => { act.set({ picking: false }); }}>{text.t("cancel")}</button>
      </div>
    </>
  );
}
