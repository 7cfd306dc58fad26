/** The service's HTTP interface: types of its answers, and one function for each request. */
import type { Geometry, Position } from "./geometry";

export type { Geometry, Position };

export type Lang = "zh" | "en";
export type Words = Record<Lang, string>;
export type Scalar = string | number | boolean;
export type Value = Scalar | string[] | null | undefined;
export type Properties = Record<string, Value>;

export interface Code {
  code: string;
  label: Words;
}

export interface Field {
  name: string;
  type: "text" | "integer" | "number" | "boolean" | "date" | "datetime" | "code" | "codes" | "item";
  label: Words;
  unit?: string | null;
  codes?: Code[] | null;
}

export type Shape =
  | "circle" | "square" | "diamond" | "triangle" | "octagon" | "shield" | "house" | "cross" | "line" | "fill";

export interface MapSymbol {
  shape: Shape;
  color: string;
  color_dark?: string | null;
  outline?: string | null;
  size: number;
  width: number;
  opacity: number;
  opacity_dark?: number | null;
  pattern: "none" | "lines-8" | "lines-12" | "dots";
  dash: number[];
  icon?: string | null;
  text?: string | null;
}

export interface Rule {
  when: Record<string, Scalar | null>;
  label: Words;
  symbol: MapSymbol;
  min_zoom?: number | null;
}

export type Group = "hazards" | "shelters" | "response" | "people" | "basemap";

export interface LayerMap {
  group: Group;
  order: number;
  visible: boolean;
  min_zoom: number;
  label_field?: string | null;
  label_min_zoom: number;
  rules: Rule[];
}

export interface Layer {
  geometry: "Point" | "LineString" | "MultiLineString" | "MultiPolygon" | "Geometry" | "none";
  name_field?: string | null;
  fields: Field[];
  map: LayerMap | null;
  tiles: { min_zoom: number; detail_zoom: number };
  nearest: { default: boolean; k: number } | null;
}

export interface Source {
  id: string;
  name: string;
  licence: string;
  attribution: string;
  url?: string | null;
  sample: boolean;
  count: number;
}

export interface Collection {
  id: string;
  title: string;
  titles: Words;
  abstracts: Words;
  counts: { real: number; sample: number };
  sources: Source[];
  layer: Layer;
}

/** A collection that stands on the map. */
export type MapCollection = Collection & { layer: Layer & { map: LayerMap } };

export interface Raster {
  id: string;
  tiles: string;
  minzoom: number;
  maxzoom: number;
  bbox: [number, number, number, number] | null;
  sample: boolean;
}

export interface Service {
  name: string;
  version: string;
  view: { center: Position; zoom: number };
  bbox: [number, number, number, number] | null;
  area: Words | null;
  sample: boolean;
  hazards: Code[];
  rasters: Raster[];
  basemap: { url: string; attribution: string; tile_size: number; max_zoom: number } | null;
}

export interface Feature<P = Properties> {
  type: "Feature";
  id: string | number;
  geometry: Geometry;
  properties: P;
}

export interface Items {
  features: Feature[];
  links?: { rel: string; href: string }[];
}

export interface SearchResult {
  layer: string;
  fid: number;
  id: string;
  name: string;
  subtitle?: string | null;
  geometry: Geometry;
  bbox?: [number, number, number, number] | null;
  sample: boolean;
}

export type RankedProperties = Properties & {
  layer: string;
  fid: number;
  rank: number;
  distance_m: number;
  bearing_deg: number;
  age_s: number | null;
  sample: boolean;
};

export type Ranked = Feature<RankedProperties>;

export type Reason = "closed" | "full" | "unsuitable" | "inside_hazard" | "not_designated";

export interface Skipped {
  id: string;
  layer: string;
  fid: number;
  name: string | null;
  distance_m: number;
  bearing_deg: number;
  geometry: Geometry;
  reason: Reason;
  evidence: Properties;
  sample: boolean;
}

export interface Nearest {
  features: Ranked[];
  skipped: Skipped[];
  place: { level: string; name: string }[];
  hazards_here: { id: string; name: string | null; hazard: string | null; risk_class: string | null }[];
  answered_at: string;
}

/** A refusal of the service, in its own words. */
export class Problem extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

async function get<T>(path: string, query: Record<string, string | number | null | undefined> = {}, signal?: AbortSignal): Promise<T> {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  const response = await fetch(search === "" ? path : `${path}?${search}`, { signal: signal ?? null });
  if (!response.ok) {
    const problem = (await response.json().catch(() => null)) as { title?: string; detail?: string } | null;
    throw new Problem(response.status, problem?.detail ?? problem?.title ?? `${response.status} ${response.statusText}`);
  }
  return (await response.json()) as T;
}

export const getService = () => get<Service>("/service");

export const getCollections = async () => (await get<{ collections: Collection[] }>("/collections")).collections;

export const getItem = (layer: string, fid: number, signal?: AbortSignal) =>
  get<Feature>(`/collections/${layer}/items/${fid}`, {}, signal);

export const getItems = (layer: string, bbox: number[], limit: number, signal?: AbortSignal) =>
  get<Items>(`/collections/${layer}/items`, { bbox: bbox.map((n) => n.toFixed(5)).join(","), limit }, signal);

export const search = async (q: string, near: Position, signal?: AbortSignal) =>
  (await get<{ results: SearchResult[] }>("/search", { q, limit: 8, near: near.map((n) => n.toFixed(5)).join(",") }, signal)).results;

export interface NearestQuery {
  lon: number;
  lat: number;
  hazard: string | null;
  places: number | null;
}

export const getNearest = (query: NearestQuery, signal?: AbortSignal) => get<Nearest>("/nearest", { ...query }, signal);
