/** The part of the state that a link keeps. Positions are always longitude, latitude. */
import { type By, type Filter, type Lang, noFilter, type Profile, PROFILES } from "./api";
import type { Position } from "./geometry";
import type { View } from "./map";
import type { Registry, RegistryView, Workspace } from "./state";

/** A feature by layer and number, written `shelters.81`. */
export interface ItemRef {
  layer: string;
  fid: number;
}

export interface Linked {
  workspace: Workspace;
  registry: Registry;
  /** The moment whose records are shown, as RFC 3339; null: now. */
  asOf: string | null;
  view: View | null;
  incident: Position | null;
  hazard: string | null;
  places: number | null;
  by: By;
  profile: Profile;
  /** The moment for which is asked by road, as RFC 3339; null: now. */
  when: string | null;
  /** Whether the ground that is reached by road is shown. */
  reach: boolean;
  tab: string | null;
  selected: ItemRef | null;
  /** Layers switched on or off against their definition. */
  switched: Record<string, boolean>;
  lang: Lang | null;
}

export const refText = ({ layer, fid }: ItemRef) => `${layer}.${fid}`;

/** `shelters.81` as layer and number, or null. */
export function refOf(text: string | null): ItemRef | null {
  const found = /^([a-z]\w*)\.(\d+)$/.exec(text ?? "");
  return found?.[1] && found[2] ? { layer: found[1], fid: Number(found[2]) } : null;
}

function numbers(text: string | null, count: number): number[] | null {
  const parts = (text ?? "").split(",").map(Number);
  return text !== null && parts.length === count && parts.every(Number.isFinite) ? parts : null;
}

function positionOf(lon: number | undefined, lat: number | undefined): Position | null {
  return lon !== undefined && lat !== undefined && Math.abs(lon) <= 180 && Math.abs(lat) <= 90 ? [lon, lat] : null;
}

const FILTERS = ["state", "missing", "area", "q"] as const;
const VIEWS: RegistryView[] = ["board", "table", "map"];

function registryIn(query: URLSearchParams): Registry {
  const fields: Filter["fields"] = {};
  for (const pair of query.getAll("where")) {
    const [name, value] = [pair.slice(0, pair.indexOf(":")), pair.slice(pair.indexOf(":") + 1)];
    if (/^[a-z]\w*$/.test(name)) fields[name] = value;
  }
  const filter: Filter = { ...noFilter, fields };
  for (const name of FILTERS) filter[name] = query.get(name);
  return { layer: query.get("layer"), view: VIEWS.find((one) => one === query.get("as")) ?? "board", filter };
}

function registryParts({ layer, view, filter }: Registry): [string, string][] {
  const parts: [string, string][] = layer ? [["layer", layer]] : [];
  if (view !== "board") parts.push(["as", view]);
  for (const name of FILTERS) {
    const value = filter[name];
    if (value !== null) parts.push([name, value]);
  }
  for (const [name, value] of Object.entries(filter.fields)) parts.push(["where", `${name}:${value}`]);
  return parts;
}

/** A moment of a link, or null when it is none. */
function momentIn(text: string | null): string | null {
  const moment = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(moment) ? null : new Date(moment).toISOString();
}

const shortly = (moment: string) => moment.replace(/\.000Z$/, "Z");

/** What a link says; what it does not say, or says wrongly, is null. */
export function linkedIn(search: string): Linked {
  const query = new URLSearchParams(search);
  const [zoom, ...center] = numbers(query.get("view"), 3) ?? [];
  const at = positionOf(center[0], center[1]);
  const lang = query.get("lang");
  const places = Number(query.get("places"));
  const switched: Record<string, boolean> = {};
  for (const [key, on] of [["show", true], ["hide", false]] as const) {
    for (const layer of query.get(key)?.split(",") ?? []) if (layer !== "") switched[layer] = on;
  }
  return {
    workspace: query.get("w") === "registry" ? "registry" : "respond",
    registry: registryIn(query),
    asOf: momentIn(query.get("t")),
    view: at && zoom !== undefined ? { lon: at[0], lat: at[1], zoom: Math.min(19, Math.max(3, zoom)) } : null,
    incident: positionOf(...((numbers(query.get("at"), 2) ?? []) as [number?, number?])),
    hazard: query.get("hazard"),
    places: Number.isInteger(places) && places > 0 ? places : null,
    by: query.get("by") === "line" ? "line" : "road",
    profile: PROFILES.find((one) => one === query.get("profile")) ?? PROFILES[0],
    when: momentIn(query.get("when")),
    reach: query.get("reach") === "1",
    tab: query.get("tab"),
    selected: refOf(query.get("sel")),
    switched,
    lang: lang === "zh" || lang === "en" ? lang : null,
  };
}

/** The link that keeps this state. */
export function linkOf(linked: Linked): string {
  const parts: [string, string][] = [["w", linked.workspace]];
  const { view, incident, selected } = linked;
  if (linked.workspace === "registry") parts.push(...registryParts(linked.registry));
  if (linked.asOf) parts.push(["t", shortly(linked.asOf)]);
  if (view) parts.push(["view", `${Number(view.zoom.toFixed(2))},${view.lon.toFixed(5)},${view.lat.toFixed(5)}`]);
  if (incident) parts.push(["at", incident.map((n) => Number(n.toFixed(6))).join(",")]);
  if (incident) parts.push(["by", linked.by]);
  if (linked.profile !== PROFILES[0]) parts.push(["profile", linked.profile]);
  if (linked.when) parts.push(["when", shortly(linked.when)]);
  if (linked.reach) parts.push(["reach", "1"]);
  if (linked.hazard) parts.push(["hazard", linked.hazard]);
  if (linked.places) parts.push(["places", String(linked.places)]);
  if (linked.tab) parts.push(["tab", linked.tab]);
  if (selected) parts.push(["sel", refText(selected)]);
  for (const [key, on] of [["show", true], ["hide", false]] as const) {
    const layers = Object.keys(linked.switched).filter((layer) => linked.switched[layer] === on);
    if (layers.length > 0) parts.push([key, layers.join(",")]);
  }
  if (linked.lang) parts.push(["lang", linked.lang]);
  return `/?${parts.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%2C", ",").replaceAll("%3A", ":")}`).join("&")}`;
}
