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
  note?: Words | null;
  codes?: Code[] | null;
  /** The layer that an item field points to. */
  layer?: string | null;
  /** What follows is told to those who have signed in. */
  public?: boolean;
  personal?: boolean;
  required?: boolean;
  minimum?: number | null;
  maximum?: number | null;
  pattern?: string | null;
  default?: Scalar | null;
  /** The headings under which it is met in files. */
  aliases?: string[];
  /** Read only: the database computes it. */
  computed?: boolean;
  /** The field that says when this value was stated; the value is then a monitoring number. */
  stated_at?: string | null;
  stale_after_h?: number | null;
}

export interface Transition {
  from: string[];
  to: string;
  right: string;
  needs: string[];
  clears?: string[];
  dated?: string | null;
  label: Words;
  clause?: Words | null;
  certainty?: Certainty | null;
}

/** How sure it is that a clause says so. */
export type Certainty = "verified" | "secondary" | "unverified";

export interface Gap {
  id: string;
  missing: string[];
  label: Words;
}

export interface FixedItem {
  id: string;
  fields: string[];
  label: Words;
}

export interface Workflow {
  state: string;
  initial: string;
  closed: string[];
  closed_on: string;
  deadline: string;
  opened_on?: string | null;
  grade?: string | null;
  persons?: string | null;
  when?: Record<string, Scalar>;
  clause?: Words | null;
  certainty?: Certainty | null;
  transitions: Transition[];
  gaps?: Gap[];
  fixed_items?: FixedItem[];
}

/** A table of limits, from the highest grade to the lowest, which has none. */
export interface Standard {
  id: string;
  title: Words;
  edition: string;
  thresholds: { grade: string; at_least: Record<string, number>; more_than: Record<string, number>; clause: string; certainty: Certainty }[];
}

/** A grade computed by a standard; a stated one counts in its place when it has a reason. */
export interface ComputedGrade {
  field: string;
  stated: string;
  reason: string;
  computed: string;
  at_least?: string | null;
  standard: Standard;
  measures: string[];
  when?: Record<string, Scalar>;
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
  tiles: { min_zoom: number; detail_zoom: number; worst: string | null; persons: string | null };
  nearest: { default: boolean; k: number } | null;
  /** Its items close roads, or slow who travels on them; `effect` is the field that says so item by item. */
  closes?: { effect: string | null } | null;
  /** The fields of an item's own time. */
  time?: { start: string; end: string | null } | null;
  workflow?: Workflow | null;
  computed?: ComputedGrade[];
  /** The fields that change often, each with the field that says when its value was stated. */
  monitoring?: Record<string, string>;
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
  title: Words;
  /** Whether it is shown from the start. */
  visible: boolean;
  legend: RasterLegend;
}

/** What the colours of a raster mean; a class holds what is at least `from` and less than `to`. */
export interface RasterLegend {
  unit: string | null;
  note: Words;
  classes: { from: number; to: number | null; color: string; opacity: number }[];
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
  /** What follows is told by road: the walk to and from the road is part of the time. */
  travel_time_s?: number;
  road_m?: number;
  walk_m?: number;
  travel?: "to_incident" | "from_incident";
};

export type Ranked = Feature<RankedProperties> & { properties: { route?: Geometry } };

export type Reason = "closed" | "full" | "unsuitable" | "inside_hazard" | "not_designated" | "unreachable" | "detour" | "slower";

/** What closes or slows a road: an item of a layer of closures, or a danger zone. */
export interface Closure {
  id: string;
  name: string | null;
  effect: "forbid" | "slow";
  reason?: string | null;
  starts_at: string | null;
  ends_at: string | null;
  sample: boolean;
}

export interface Skipped {
  id: string;
  layer: string;
  fid: number;
  name: string | null;
  distance_m: number;
  bearing_deg: number;
  geometry: Geometry;
  reason: Reason;
  evidence: Record<string, Value | Closure[]>;
  /** By road; null when it cannot be reached. */
  travel_time_s?: number | null;
  sample: boolean;
}

/** What an answer by road rests on. */
export interface Network {
  profile: string;
  /** Whether it is that of the last version of the roads. */
  is_last: boolean;
  /** What the search does not know of, such as `turn_restrictions`. */
  left_out: string[];
  at: string;
  /** How many closures hold at that moment. */
  closures: number;
  /** How far one walks from the incident to the road; null: too far from any. */
  walk_to_road_m: number | null;
  /** The closures that the incident lies in. */
  inside: Closure[];
}

export interface Nearest {
  features: Ranked[];
  skipped: Skipped[];
  place: { level: string; name: string }[];
  hazards_here: { id: string; name: string | null; hazard: string | null; risk_class: string | null }[];
  answered_at: string;
  /** Missing in an answer by straight line. */
  network?: Network;
  /** Why this answer is by straight line though the one by road was asked for; the page adds it. */
  instead?: "slow" | "reading" | "no_roads" | "as_of";
}

/** A refusal of the service, in its own words. */
export class Problem extends Error {
  readonly status: number;
  /** Which kind of problem it is, such as `/problems/edit-conflict`; empty when it is not told. */
  readonly type: string;
  /** Everything that the refusal says, by name. */
  readonly members: Record<string, unknown>;

  constructor(status: number, members: Record<string, unknown>, otherwise = "") {
    const words = [members.detail, members.title, otherwise].find((one) => typeof one === "string" && one !== "");
    super(typeof words === "string" ? words : String(status));
    this.status = status;
    this.type = typeof members.type === "string" ? members.type : "";
    this.members = members;
  }
}

/** What goes along with every request; the controller sets it. */
export const along: {
  /** The session's CSRF token, sent with everything that changes something. */
  csrf: string | null;
  /** The moment whose records are read; null: now. */
  asOf: string | null;
  /** Asks the user to sign in; whether they did. */
  signIn: (() => Promise<boolean>) | null;
  /** Takes on the session that another tab has begun. */
  refresh: (() => Promise<void>) | null;
} = { csrf: null, asOf: null, signIn: null, refresh: null };

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type Query = Record<string, string | number | null | undefined>;

/** A path with the parameters that have a value. */
export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  return search === "" ? path : `${path}?${search}`;
}

/** What a request of the session carries besides its own headers. */
export const sessionHeaders = (): Record<string, string> => (along.csrf === null ? {} : { "X-CSRF-Token": along.csrf });

export async function problemOf(response: Response): Promise<Problem> {
  const members = (await response.json().catch(() => null)) as Record<string, unknown> | null;
  return new Problem(response.status, members ?? {}, `${response.status} ${response.statusText}`);
}

/**
 * Asks the service; a body is sent as JSON, or as the form that it is. When the service wants the user to sign in, they
 * are asked to, and the request is made again.
 */
export async function send(method: Method, path: string, body?: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  const form = body instanceof FormData;
  const once = () => fetch(path, {
    method,
    signal: signal ?? null,
    headers: { ...(body !== undefined && !form && { "Content-Type": "application/json" }), ...(method !== "GET" && sessionHeaders()), ...headers },
    ...(body !== undefined && { body: form ? body : JSON.stringify(body) }),
  });
  let response = await once();
  if (response.status === 401 && path !== "/session" && along.signIn && (await along.signIn())) response = await once();
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem.status !== 403 || problem.members.parameter !== "X-CSRF-Token" || !along.refresh) throw problem;
  await along.refresh();
  response = await once();
  if (response.ok) return response;
  throw await problemOf(response);
}

const get = async <T>(path: string, query: Query = {}, signal?: AbortSignal) => (await (await send("GET", withQuery(path, query), undefined, {}, signal)).json()) as T;

export const getService = () => get<Service>("/service");

export const getCollections = async () => (await get<{ collections: Collection[] }>("/collections", { as_of: along.asOf })).collections;

export const getItem = (layer: string, fid: number, signal?: AbortSignal) =>
  get<Feature>(`/collections/${layer}/items/${fid}`, { as_of: along.asOf }, signal);

export const getItems = (layer: string, bbox: number[], limit: number, signal?: AbortSignal) =>
  get<Items>(`/collections/${layer}/items`, { bbox: bbox.map((n) => n.toFixed(5)).join(","), limit, as_of: along.asOf }, signal);

export const search = async (q: string, near: Position, signal?: AbortSignal) =>
  (await get<{ results: SearchResult[] }>("/search", { q, limit: 8, near: near.map((n) => n.toFixed(5)).join(",") }, signal)).results;

export type By = "road" | "line";
export const PROFILES = ["fire_engine", "car", "foot"] as const;
/** Who travels. */
export type Profile = (typeof PROFILES)[number];

export interface NearestQuery {
  lon: number;
  lat: number;
  hazard: string | null;
  places: number | null;
}

export interface RoadQuery {
  profile: Profile;
  /** The moment for which closures are judged; null: now. */
  at: string | null;
}

export const getNearest = (query: NearestQuery, signal?: AbortSignal) => get<Nearest>("/nearest", { ...query, as_of: along.asOf }, signal);

export const getNearestByRoad = (query: NearestQuery & RoadQuery, signal?: AbortSignal) => get<Nearest>("/nearest", { ...query, by: "road", route: "true" }, signal);

/** The people whom a band of time reaches. */
export interface Reached {
  settlements: number;
  /** As far as they are known; null when of no settlement. */
  persons: number | null;
  persons_unknown: number;
}

/** The ground that is reached by road, by bands of time. */
export interface ServiceArea {
  features: { geometry: Geometry; properties: Reached & { from_s: number; to_s: number } }[];
  beyond: Reached;
}

/** The upper ends of the bands of a service area, seconds. */
export const BANDS_S = [600, 1200, 1800];

export const getServiceArea = async (place: Position, { profile, at }: RoadQuery, hazard: string | null, signal?: AbortSignal) =>
  (await (await send("POST", "/processes/service-area/execution", { inputs: { places: [place], bands_s: BANDS_S, profile, at, hazard } }, {}, signal)).json()) as ServiceArea;

// ---- who one is

export type Right = "read" | "monitor" | "edit" | "review" | "plan" | "publish" | "administer";

export interface Account {
  name: string | null;
  role: string | null;
  rights: Right[];
  csrf?: string;
}

export const nobody: Account = { name: null, role: null, rights: [] };

export const getSession = () => get<Account>("/session");

export const beginSession = async (name: string, password: string) => (await (await send("POST", "/session", { name, password })).json()) as Account;

export const endSession = () => send("DELETE", "/session");

// ---- lists

/** Which items of a layer: a list of the workflow, a gap, an area (empty: outside all), text in the name, field values. */
export interface Filter {
  state: string | null;
  missing: string | null;
  area: string | null;
  q: string | null;
  fields: Record<string, string>;
}

export const noFilter: Filter = { state: null, missing: null, area: null, q: null, fields: {} };

export interface Rows {
  features: Feature[];
  /** Where the next page begins; null after the last. */
  next: string | null;
}

/** A page of the items that a filter leaves, in the order of their numbers. */
export async function getRows(layer: string, filter: Filter, limit: number, cursor: string | null, signal?: AbortSignal): Promise<Rows> {
  const { state, missing, area, q, fields } = filter;
  const items = await get<Items>(`/collections/${layer}/items`, { ...fields, state, missing, area, q, limit, cursor, as_of: along.asOf }, signal);
  const next = items.links?.find((link) => link.rel === "next")?.href;
  return { features: items.features, next: next ? new URL(next, location.origin).searchParams.get("cursor") : null };
}

export interface BoardState {
  /** Null: of unknown state. */
  code: string | null;
  label: Words;
  count: number;
  overdue: number;
  items: Feature[];
  more: boolean;
}

export interface AreaCount {
  /** Null: outside every area that is known. */
  name: string | null;
  open: number;
  overdue: number;
  closed_this_month: number;
}

export interface Board {
  states: BoardState[];
  counts: { registered: number; open: number; overdue: number; closed_this_month: number; grade_unknown: number; deadline_unknown: number };
  by_area: AreaCount[];
  /** `unknown` of the count are not known to be missing. */
  gaps: { id: string; label: Words; count: number; unknown: number }[];
  threatened_persons: { sum: number | null; unknown: number } | null;
  clause: Words | null;
  certainty: Certainty | null;
  today: string;
}

export const getBoard = (layer: string, limit: number, signal?: AbortSignal) =>
  get<Board>(`/collections/${layer}/board`, { limit, as_of: along.asOf }, signal);

/** West, south, east, north in degrees. */
export type Box = [number, number, number, number];

/** One row of the change log. */
export interface Change {
  version: number;
  layer: string;
  operation: string;
  count: number;
  fids: number[] | null;
  bbox: Box | null;
  /** Columns and rows of Web Mercator tiles of zoom 12; null: too many. */
  cells: [number, number][] | null;
  /** Null: too many. */
  boxes: Box[] | null;
  import_id: number | null;
  author: string | null;
  reason: string | null;
  recorded_at: string;
}
