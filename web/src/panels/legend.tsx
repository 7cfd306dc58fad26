import type { Group, MapCollection, MapSymbol } from "../api";
import { useApp } from "../context";
import { SymbolPicture } from "./symbol_picture";

const GROUPS: Group[] = ["hazards", "shelters", "response", "people", "basemap"];

/** One layer: its switch, state, and the entries with their numbers in view. */
function LayerEntry({ collection }: { collection: MapCollection }) {
  const { act, state, text } = useApp();
  const { map } = collection.layer;
  const on = act.visible(collection.id);
  const source = act.view?.sourceOf(collection.id) ?? collection.id;
  const failed = state.failed[source];
  const counts = state.seen.counts[collection.id] ?? [];
  const base = map.group === "basemap";
  const stored = collection.counts.real + collection.counts.sample;
  const total = counts.reduce((sum, n) => sum + (n ?? 0), 0);
  const hidden = state.view.zoom < Math.max(map.min_zoom, Math.min(...map.rules.map((rule) => rule.min_zoom ?? 0)), collection.layer.tiles.min_zoom);
  const note = stored === 0 ? text.t("layer_no_data") : hidden ? text.t("layer_min_zoom") : !base && total === 0 ? text.t("layer_empty") : null;
  const entries = map.rules.map((rule, index) => ({ rule, count: counts[index] ?? 0 }));
  return (
    <div class="layer" data-layer={collection.id}>
      <label class="switch" title={collection.abstracts[state.lang]}>
        <input type="checkbox" checked={on} onChange={(event) => { act.setVisible(collection.id, event.currentTarget.checked); }} aria-label={text.t("layer_show", { layer: collection.titles[state.lang] })} />
        <span>{collection.titles[state.lang]}</span>
        {collection.counts.sample > 0 && <span class="chip sample">{text.t("sample")}</span>}
      </label>
      {failed !== undefined && on && (
        <p class="problem" role="alert">⚠ {text.t("layer_error", { reason: failed })} <button type="button" class="link" onClick={() => { act.retry(source); }}>{text.t("retry")}</button></p>
      )}
      {on && failed === undefined && note && <p class="muted note">{note}</p>}
      {on && state.seen.coarse.includes(collection.id) && <p class="muted note">{text.t("layer_coarse")}</p>}
      {on && (
        <ul class="entries">
          {entries.filter(({ count }) => base || count > 0).map(({ rule, count }) => (
            <li key={rule.label.zh}>
              <SymbolPicture symbol={rule.symbol} scale={rule.symbol.size > 22 ? 22 / rule.symbol.size : 1} />
              <span>{rule.label[state.lang]}</span>
              {!base && count > 0 && <span class="count digits">{count}</span>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Switch({ id, label, note, sample }: { id: string; label: string; note?: string | undefined; sample: boolean }) {
  const { act, state, text } = useApp();
  const failed = state.failed[id === "online" ? "online" : `raster-${id}`];
  const source = id === "online" ? "online" : `raster-${id}`;
  return (
    <div class="layer" data-layer={id}>
      <label class="switch">
        <input type="checkbox" checked={act.visible(id)} onChange={(event) => { act.setVisible(id, event.currentTarget.checked); }} />
        <span>{label}</span>
        {sample && <span class="chip sample">{text.t("sample")}</span>}
      </label>
      {note && <p class="muted note">{note}</p>}
      {failed !== undefined && act.visible(id) && (
        <p class="problem" role="alert">⚠ {text.t("layer_error", { reason: failed })} <button type="button" class="link" onClick={() => { act.retry(source); }}>{text.t("retry")}</button></p>
      )}
    </div>
  );
}

/** What is drawn in the folded legend: the first entries that are in view. */
function useInView(): MapSymbol[] {
  const { act, state } = useApp();
  return act.drawn
    .filter((one) => one.layer.map.group !== "basemap" && one.layer.map.group !== "people" && act.visible(one.id))
    .flatMap((one) => {
      const inView = one.layer.map.rules.filter((rule, index) => (state.seen.counts[one.id]?.[index] ?? 0) > 0 && rule.symbol.shape !== "line");
      return inView.map((rule) => rule.symbol).toSorted((a, b) => b.size - a.size).slice(0, 1);
    })
    .slice(0, 5);
}

/** The legend, which is also the list of layers with their switches; folded to a chip. */
export function Legend() {
  const { act, state, text } = useApp();
  const samples = useInView();
  const errors = Object.keys(state.failed).length;
  if (!state.legend) {
    return (
      <button type="button" class="legend-chip" data-region="legend" aria-expanded={false} onClick={() => { act.set({ legend: true }); }}>
        {text.t("legend")} {errors > 0 && <span class="problem">⚠</span>}
        {samples.map((symbol) => <SymbolPicture key={`${symbol.shape}${symbol.color}${symbol.pattern}${symbol.icon ?? ""}`} symbol={symbol} scale={Math.min(1, 16 / symbol.size)} />)}
        <span aria-hidden="true">▴</span>
      </button>
    );
  }
  return (
    <section class="legend" data-region="legend" aria-label={text.t("legend_full")} tabIndex={-1}>
      <header>
        <h2>{text.t("legend_full")}</h2>
        <button type="button" class="icon-button" aria-label={text.t("close")} onClick={() => { act.set({ legend: false }); }}>✕</button>
      </header>
      <div class="legend-body">
        {GROUPS.map((group) => {
          const members = act.drawn.filter((one) => one.layer.map.group === group).toSorted((a, b) => b.layer.map.order - a.layer.map.order);
          if (members.length === 0) return null;
          return (
            <fieldset key={group}>
              <legend>{text.t(`group_${group}`)}</legend>
              {members.map((collection) => <LayerEntry key={collection.id} collection={collection} />)}
              {group === "basemap" && act.service.rasters.map((raster) => <Switch key={raster.id} id={raster.id} label={raster.title[state.lang]} sample={raster.sample} />)}
              {group === "basemap" && act.service.basemap && <Switch id="online" label={text.t("basemap_online")} sample={false} />}
            </fieldset>
          );
        })}
      </div>
    </section>
  );
}
