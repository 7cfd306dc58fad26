import type { Ranked } from "../api";
import { useApp } from "../context";
import { refText } from "../url";
import { ageOfItem, placesText, subtitleOf, WALK_M } from "../values";
import { CardBody } from "./card";

/** How a row has moved since the question or the roads changed. */
function Moved({ item }: { item: Ranked }) {
  const { state, text } = useApp();
  const before = state.ranksBefore;
  if (!before) return null;
  const was = before[String(item.id)];
  if (was === undefined) return <span class="moved up">{text.t("rank_new")}</span>;
  const by = was - item.properties.rank;
  if (by === 0) return null;
  return <span class={by > 0 ? "moved up" : "moved down"}>{by > 0 ? `▲${by}` : `▼${-by}`}</span>;
}

/** One ranked item: number, name, distance and direction, places, suitability, age. */
export function ResultRow({ item }: { item: Ranked }) {
  const { act, state, text } = useApp();
  const { layer, fid, rank, distance_m, bearing_deg, suitability, sample, travel_time_s: seconds, road_m = 0, walk_m = 0 } = item.properties;
  const moved = state.ranksBefore !== null && state.ranksBefore[String(item.id)] !== rank;
  const collection = act.collection(layer);
  const selected = state.selected !== null && refText(state.selected) === item.id;
  const places = placesText(item, text);
  const age = ageOfItem(item, text);
  const hazard = text.label(act.service.hazards, state.hazard ?? "");
  return (
    <li class={["row", selected && "selected", moved && state.flashes > 0 && `flash-${state.flashes % 2}`].filter(Boolean).join(" ")}>
      <button
        type="button" class="row-main" data-row={String(item.id)} aria-expanded={selected}
        onClick={() => { act.select(selected ? null : { layer, fid }, { geometry: item.geometry, fly: true }); }}
      >
        <span class="rank" style={{ background: collection?.layer.map?.rules.at(-1)?.symbol.color }}>{rank}</span>
        <span class="row-text">
          <strong>{act.nameOf(item, layer)} <Moved item={item} /></strong>
          {collection && <span class="muted">{subtitleOf(collection, item.properties, text)}</span>}
          <span class="chips">
            {places && <span class={places.known ? "chip" : "chip unknown"}>{places.text}</span>}
            {suitability === "suitable" && <span class="chip">{text.t("suitable", { hazard })}</span>}
            {suitability === "unknown" && <span class="chip unknown">{text.t("suitability_unknown", { hazard })}</span>}
            {walk_m > WALK_M && <span class="chip">{text.t("with_walk", { d: text.distance(walk_m) })}</span>}
            <span class={age.stale ? "chip stale" : "chip"}>{age.text}</span>
          </span>
        </span>
        <span class="row-far">
          <b>{seconds === undefined ? text.distance(distance_m) : text.minutes(seconds)}</b>
          {seconds !== undefined && <span class="way-m">{text.distance(road_m + walk_m)}</span>}
          <span class="muted">{seconds === undefined ? text.t("straight") : text.t("straight_d", { d: text.distance(distance_m) })} <i class="arrow" style={{ transform: `rotate(${bearing_deg}deg)` }} aria-hidden="true">↑</i> <span class="direction">{text.direction(bearing_deg)}</span></span>
          {sample && <span class="chip sample">{text.t("sample")}</span>}
        </span>
      </button>
      {selected && <div class="row-card"><CardBody /></div>}
    </li>
  );
}
