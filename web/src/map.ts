/** The map: draws the layers, the answer and the selection, and says what people do to it. */
import {
  type ErrorEvent, type GeoJSONSource, type MapGeoJSONFeature, MapLibreMap, type MapMouseEvent, type MapTouchEvent, type PaddingOptions, type RasterTileSource, ScaleControl, setWorkerUrl,
  type StyleSpecification, type VectorTileSource,
} from "maplibre-gl";
import "maplibre-gl/dist/maplibre-gl.css";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import type { Box, Feature, Geometry, MapCollection, MapSymbol, Nearest, Properties, Service, ServiceArea } from "./api";
import { type Cluster, clusterOf, isCluster } from "./clusters";
import { type Bounds, boundsOf, middleOf, type Position } from "./geometry";
import type { Theme } from "./palette";
import { ruleIndexOf } from "./rules";
import { type Drawn, imageId, sourceIdOf, type StyleChoice, styleOf } from "./style";
import { colorOf, drawCluster, drawIncident, drawPattern, drawPoint, drawRank, drawSkipped } from "./symbols";
import { type TilePlace, Tiles, touches } from "./tiles";

setWorkerUrl(workerUrl);

export interface View {
  lon: number;
  lat: number;
  zoom: number;
}

/** An item or a cluster under the pointer. */
export interface Hit {
  layer: string;
  /** Null: a cluster. */
  fid: number | null;
  cluster: Cluster | null;
  rule: number;
  properties: Properties;
  /** Where the pointer is, in CSS pixels of the map. */
  x: number;
  y: number;
}

export interface MapEvents {
  moved: (view: View) => void;
  hovered: (hit: Hit | null) => void;
  clicked: (hit: Hit | null, position: Position) => void;
  /** Right click or long press. */
  held: (position: Position) => void;
  failed: (source: string, reason: string) => void;
  busy: (busy: boolean) => void;
  counted: (seen: Seen) => void;
  /** The tiles are as they were at a moment, since the database is away; null: it is back. */
  aged: (asOf: number | null) => void;
}

/** What takes pointer and clicks in place of the app, while something is placed or drawn. */
export interface Overlay {
  cursor: string;
  clicked: (position: Position) => void;
  doubleClicked: () => void;
  pointed: (position: Position) => void;
}

/** How many items of each rule are in view, by layer. */
export type Counts = Record<string, number[]>;

/** What is in view. */
export interface Seen {
  counts: Counts;
  /** By layer, the largest first. */
  clusters: Record<string, Cluster[]>;
  /** The items that are drawn singly, by layer. */
  alone: Record<string, { fid: number; rule: number }[]>;
  /** The layers that are too large to be drawn as they are. */
  coarse: string[];
}

/** What the answer draws. */
export interface AnswerDrawing {
  incident: Position | null;
  answer: Nearest | null;
  tab: string | null;
  selected: string | null;
}

const PIXEL_RATIO = 2;
const LONG_PRESS_MS = 550;
const STILL_LOADING_MS = 50;
const SPLIT_ZOOMS = 2;
/** From here on every item is drawn itself. */
const ITEMS_ZOOM = 10;
const HIT_PX = 5;
const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The layer and the legend entry that a feature on the map belongs to. */
const drawnBy = (feature: MapGeoJSONFeature): Drawn =>
  feature.source === "listed" ? { layer: String(feature.properties.layer), rule: Number(feature.properties.rule) } : (feature.layer.metadata as Drawn);

export class MapView {
  readonly map: MapLibreMap;
  private readonly service: Service;
  private collections: MapCollection[];
  private readonly events: MapEvents;
  private choice: StyleChoice;
  private busyTimer = 0;
  private lastHeld = -Infinity;
  private overlay: Overlay | null = null;
  private readonly tiles: Tiles;
  /** The sources of which a tile failed. */
  private readonly failing = new Set<string>();
  /** Sources whose tiles out of sight may have changed. */
  private readonly behind = new Set<string>();

  constructor(container: HTMLElement, service: Service, collections: MapCollection[], view: View, whole: Bounds | null, padding: PaddingOptions, choice: StyleChoice, events: MapEvents) {
    this.service = service;
    this.collections = collections;
    this.events = events;
    this.choice = choice;
    this.tiles = new Tiles({
      aged: (asOf) => {
        if (asOf === null) this.refreshAll();
        events.aged(asOf);
      },
    });
    this.map = new MapLibreMap({
      container,
      style: styleOf(service, collections, choice),
      center: [view.lon, view.lat],
      zoom: view.zoom,
      ...(whole && { bounds: whole, fitBoundsOptions: { padding } }),
      minZoom: 3,
      maxZoom: 19,
      localIdeographFontFamily: '"Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif',
      attributionControl: { compact: matchMedia("(max-width: 767px)").matches },
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      fadeDuration: 0,
      refreshExpiredTiles: false,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.addControl(new ScaleControl({ maxWidth: 90 }), "bottom-left");
    this.map.setMissingStyleImageResolver((id) => {
      this.draw(id);
    });
    this.listen();
  }

  private symbolOf(layer: string, rule: number): MapSymbol | undefined {
    return this.collections.find((one) => one.id === layer)?.layer.map.rules[rule]?.symbol;
  }

  /** Draws the picture that the style asks for by name. */
  private draw(id: string): void {
    if (this.map.hasImage(id)) return;
    const [kind = "", a = "", b = "", theme = "light", size = "", graded = ""] = id.split("|");
    const symbol = this.symbolOf(a, Number(b));
    let canvas: HTMLCanvasElement | null = null;
    if (kind === "incident") canvas = drawIncident(PIXEL_RATIO);
    else if (kind === "rank") canvas = drawRank(a, PIXEL_RATIO);
    else if (kind === "skipped") canvas = drawSkipped(a, PIXEL_RATIO);
    else if (kind === "pattern" && symbol) canvas = drawPattern(symbol, theme as Theme, PIXEL_RATIO);
    else if (kind === "cluster" && symbol) canvas = drawCluster(symbol, theme as Theme, Number(size), graded !== "", PIXEL_RATIO);
    else if (kind === "rule" && symbol) canvas = drawPoint(symbol, theme as Theme, PIXEL_RATIO);
    const context = canvas?.getContext("2d");
    if (canvas && context) this.map.addImage(id, context.getImageData(0, 0, canvas.width, canvas.height), { pixelRatio: PIXEL_RATIO });
  }

  /** The style layers that answer pointer and click: all but the base map's and those of the moment. */
  private interactive(): string[] {
    const own = new Set(this.collections.filter((one) => one.layer.map.group !== "basemap").map((one) => one.id));
    return this.map.getLayersOrder().filter((id) => {
      const [layer = "", , part = ""] = id.split(":");
      return layer === "listed" || (own.has(layer) && ["point", "line", "fill", "outline", "cluster"].includes(part));
    });
  }

  private listen(): void {
    const { map, events } = this;
    map.getCanvas().setAttribute("role", "application");
    map.on("moveend", () => {
      events.moved(this.view());
    });
    map.on("idle", () => {
      clearTimeout(this.busyTimer);
      this.busyTimer = 0;
      events.busy(false);
      events.counted(this.seen());
    });
    map.on("dataloading", () => {
      if (this.busyTimer === 0) this.busyTimer = window.setTimeout(() => { events.busy(true); }, 300);
    });
    map.on("error", (event: ErrorEvent & { sourceId?: string }) => {
      if (!event.sourceId) {
        console.error(event.error);
        return;
      }
      this.failing.add(event.sourceId);
      events.failed(event.sourceId, event.error.message);
    });
    map.on("mousemove", (event) => {
      if (this.overlay) {
        this.overlay.pointed(event.lngLat.toArray());
        return;
      }
      const hit = this.hitAt(event);
      map.getCanvas().style.cursor = hit ? "pointer" : "";
      events.hovered(hit);
    });
    map.on("mouseout", () => {
      events.hovered(null);
    });
    map.on("movestart", () => {
      events.hovered(null);
      this.catchUp();
    });
    map.on("dblclick", (event) => {
      if (!this.overlay) return;
      event.preventDefault();
      this.overlay.doubleClicked();
    });
    map.on("click", (event) => {
      if (this.overlay) this.overlay.clicked(event.lngLat.toArray());
      else events.clicked(this.hitAt(event), event.lngLat.toArray());
    });
    map.on("contextmenu", (event) => {
      event.preventDefault();
      this.hold(event.lngLat.toArray());
    });
    this.listenForLongPress();
  }

  /** Some phones send both a menu event and a long press; the second is dropped. */
  private hold(position: Position): void {
    const now = performance.now();
    if (now - this.lastHeld > 1000 && !this.overlay) this.events.held(position);
    this.lastHeld = now;
  }

  /** A finger held still; the browser's own menu event may not come on a phone. */
  private listenForLongPress(): void {
    let timer = 0;
    const stop = () => {
      clearTimeout(timer);
    };
    this.map.on("touchstart", (event: MapTouchEvent) => {
      stop();
      if (event.points.length !== 1) return;
      const position = event.lngLat.toArray();
      timer = window.setTimeout(() => { this.hold(position); }, LONG_PRESS_MS);
    });
    for (const type of ["touchend", "touchcancel", "touchmove", "movestart"] as const) this.map.on(type, stop);
  }

  private hitAt({ point }: MapMouseEvent): Hit | null {
    const box: [[number, number], [number, number]] = [[point.x - HIT_PX, point.y - HIT_PX], [point.x + HIT_PX, point.y + HIT_PX]];
    const found = this.map.queryRenderedFeatures(box, { layers: this.interactive() })[0];
    if (!found) return null;
    const cluster = this.clusterIn(found);
    if (!cluster && typeof found.id !== "number") return null;
    const { layer, rule } = drawnBy(found);
    return { layer, rule: cluster?.rule ?? rule, fid: cluster ? null : (found.id as number), cluster, properties: found.properties as Properties, x: point.x, y: point.y };
  }

  private clusterIn({ properties, geometry, sourceLayer }: MapGeoJSONFeature): Cluster | null {
    if (!isCluster(properties as Properties) || geometry.type !== "Point") return null;
    const of = this.collections.find((one) => one.id === sourceLayer);
    return clusterOf(properties as Properties, geometry.coordinates as Position, of?.layer.map.rules.length ?? 0);
  }

  view(): View {
    const { lng, lat } = this.map.getCenter();
    return { lon: lng, lat, zoom: this.map.getZoom() };
  }

  /** West, south, east, north of what the map shows. */
  bounds(): Bounds {
    return this.map.getBounds().toArray().flat() as Bounds;
  }

  private seen(): Seen {
    const counts: Counts = {};
    const clusters: Seen["clusters"] = {};
    const alone: Seen["alone"] = {};
    const known = new Set<string>();
    for (const feature of this.map.queryRenderedFeatures({ layers: this.interactive() })) {
      const { layer, rule } = drawnBy(feature);
      const cluster = this.clusterIn(feature);
      const key = `${layer}.${cluster?.id ?? feature.id ?? String(feature.properties.index)}`;
      if (known.has(key)) continue;
      known.add(key);
      const row = (counts[layer] ??= []);
      if (cluster) {
        (clusters[layer] ??= []).push(cluster);
        cluster.counts.forEach((n, index) => { row[index] = (row[index] ?? 0) + n; });
      } else {
        if (typeof feature.id === "number") (alone[layer] ??= []).push({ fid: feature.id, rule });
        row[rule] = (row[rule] ?? 0) + 1;
      }
    }
    for (const each of Object.values(clusters)) each.sort((a, b) => b.count - a.count);
    const coarse = this.collections.filter(({ id }) => this.tilesInView(this.sourceOf(id)).some((place) => this.tiles.isCoarse(id, place)));
    return { counts, clusters, alone, coarse: coarse.map(({ id }) => id) };
  }

  /** Zooms in on a cluster until its items part. */
  split({ at }: Cluster): void {
    const zoom = this.map.getZoom() + SPLIT_ZOOMS;
    this.map.easeTo({ center: at, zoom: zoom - SPLIT_ZOOMS < ITEMS_ZOOM ? Math.min(zoom, ITEMS_ZOOM) : zoom, duration: reducedMotion() ? 0 : 500 });
  }

  /** The account sees other layers or fields. */
  setCollections(collections: MapCollection[]): void {
    this.collections = collections;
  }

  private tilesInView(id: string): TilePlace[] {
    const source = this.map.getSource<VectorTileSource | RasterTileSource>(id);
    if (!source) return [];
    const { minzoom, maxzoom, tileSize, type } = source;
    return this.map.coveringTiles({ tileSize, minzoom, maxzoom, roundZoom: type === "raster" }).map(({ canonical }) => canonical);
  }

  /** Asks again for the tiles that a change of a layer touches; null: for all. What is drawn stays until they come. */
  refresh(layer: string, boxes: Box[] | null): void {
    const source = this.sourceOf(layer);
    if (!this.map.getSource(source)) return;
    this.behind.add(source);
    if (!this.map.isSourceLoaded(source)) {
      setTimeout(() => { this.refresh(layer, boxes); }, STILL_LOADING_MS);
      return;
    }
    const touched = this.tilesInView(source).filter((place) => boxes?.some((box) => touches(box, place)) ?? true);
    if (touched.length > 0) this.map.refreshTiles(source, touched);
  }

  /** Asks again for all that is in view. */
  private refreshAll(): void {
    const sources = new Set([...this.failing, ...this.collections.map(sourceIdOf)]);
    for (const source of sources) {
      this.behind.add(source);
      this.retry(source);
    }
  }

  /** Lets go of tiles out of sight that may have changed, before they come into view. */
  private catchUp(): void {
    if (this.tiles.isTroubled) return;
    for (const source of this.behind) {
      if (this.failing.has(source)) continue;
      this.behind.delete(source);
      if (this.map.getSource(source)) this.map.refreshTiles(source);
    }
  }

  /** Asks again for what the service could not tell, now that it may. */
  tryAgain(): void {
    void this.tiles.tryAgain();
  }

  /** Theme, language or switches have changed. */
  restyle(choice: StyleChoice): void {
    this.choice = choice;
    this.catchUp();
    this.map.setStyle(this.style(), { diff: true });
  }

  /** The style as it should be now, with what is drawn for the moment. */
  private style(): StyleSpecification {
    const style = styleOf(this.service, this.collections, this.choice);
    for (const id of ["answer", "chosen", "editing", "listed", "reach"]) {
      const kept = this.data[id];
      const source = style.sources[id];
      if (kept && source?.type === "geojson") source.data = kept;
    }
    return style;
  }

  private readonly data: Record<string, GeoJSON.FeatureCollection> = {};

  private setData(id: "answer" | "chosen" | "editing" | "listed" | "reach", features: GeoJSON.Feature[]): void {
    const data: GeoJSON.FeatureCollection = { type: "FeatureCollection", features };
    this.data[id] = data;
    this.map.getSource<GeoJSONSource>(id)?.setData(data);
  }

  /** Draws the items of a list as their layer would. */
  drawListed(layer: string | null, features: Feature[]): void {
    const collection = this.collections.find((one) => one.id === layer);
    if (!collection && !this.data.listed) return;
    const drawn = collection ? features.filter((one) => (one.geometry as Geometry | null) !== null) : [];
    this.setData("listed", drawn.map(({ id, geometry, properties }, index) => {
      const rule = collection ? ruleIndexOf(collection.layer.map, properties) : -1;
      const symbol = collection?.layer.map.rules[rule];
      const fid = Number(String(id).split(".").at(-1));
      return {
        type: "Feature", geometry, ...(Number.isInteger(fid) && fid > 0 && { id: fid }),
        properties: { layer, rule, index, name: properties[collection?.layer.name_field ?? "name"] ?? "", image: imageId("rule", layer ?? "", rule, this.choice.theme), color: symbol ? colorOf(symbol.symbol, this.choice.theme) : "#6B6F76" },
      };
    }));
  }

  /** Outlines what is selected, and the closures that cut the way there. */
  choose(geometries: Geometry[], closures: Geometry[] = []): void {
    const drawn = (kind: string) => (geometry: Geometry): GeoJSON.Feature => ({ type: "Feature", geometry, properties: { kind } });
    this.setData("chosen", [...geometries.map(drawn("item")), ...closures.map(drawn("closure"))]);
  }

  /** Gives pointer and clicks to an overlay, or back to the app. */
  takeOver(overlay: Overlay | null): void {
    this.overlay = overlay;
    this.map.getCanvas().style.cursor = overlay?.cursor ?? "";
    if (overlay) this.events.hovered(null);
  }

  /** Draws what is edited: each feature has a `kind`, `shape`, `old`, `sketch` or `crossing`. */
  drawEditing(features: GeoJSON.Feature[]): void {
    this.setData("editing", features);
  }

  /** Draws incident, ranks, routes or lines, and what was not chosen. The selected route stands out, or else the first. */
  drawAnswer({ incident, answer, tab, selected }: AnswerDrawing): void {
    const features: GeoJSON.Feature[] = [];
    const point = (coordinates: Position, properties: GeoJSON.GeoJsonProperties): GeoJSON.Feature => ({ type: "Feature", geometry: { type: "Point", coordinates }, properties });
    const line = (to: Position, properties: GeoJSON.GeoJsonProperties) => {
      if (incident) features.push({ type: "Feature", geometry: { type: "LineString", coordinates: [incident, to] }, properties });
    };
    const shown = (answer?.features ?? []).filter((one) => one.properties.layer === tab);
    const chosen = shown.find((one) => String(one.id) === selected) ?? shown.find((one) => one.properties.rank === 1);
    // Ways that begin alike share the walk to the road; that of the chosen one is drawn.
    const walks = new Map<string, GeoJSON.Feature>();
    for (const item of (answer?.features ?? []).toSorted((a, b) => Number(a === chosen) - Number(b === chosen))) {
      const { layer, rank, name, route, travel } = item.properties;
      const at = middleOf(item.geometry);
      const first = item === chosen;
      if (layer === tab && incident && route?.type === "LineString") {
        features.push({ type: "Feature", geometry: route, properties: { kind: "route", rank, first, above: first ? 1 : -rank } });
        const ends = [route.coordinates[0], route.coordinates.at(-1)];
        const [near, far] = travel === "to_incident" ? ends.toReversed() : ends;
        for (const [place, road] of [[incident, near], [at, far]] as const) {
          if (road) walks.set(JSON.stringify([place, road]), { type: "Feature", geometry: { type: "LineString", coordinates: [place, road] }, properties: { kind: "walk", first } });
        }
      } else if (layer === tab) line(at, { kind: "line", rank });
      features.push(point(at, { image: this.imageFor(layer, item.properties), badge: `rank|${rank}`, above: (layer === tab ? 100 : 0) - rank, name: name ?? "", named: layer === tab }));
    }
    features.push(...walks.values());
    for (const item of answer?.skipped ?? []) {
      if (item.layer !== tab) continue;
      const at = middleOf(item.geometry);
      if (item.id === selected) line(at, { kind: "skipped-line" });
      features.push(point(at, { badge: `skipped|${item.reason}`, above: 0 }));
    }
    if (incident) features.push(point(incident, { kind: "incident" }));
    this.setData("answer", features);
  }

  /** Draws the ground that is reached, a band of time each. */
  drawReach(bands: ServiceArea["features"]): void {
    if (bands.length === 0 && !this.data.reach) return;
    this.setData("reach", bands.map(({ geometry }, band) => ({ type: "Feature", geometry, properties: { band } })));
  }

  private imageFor(layer: string, properties: Properties): string {
    const collection = this.collections.find((one) => one.id === layer);
    return imageId("rule", layer, collection ? ruleIndexOf(collection.layer.map, properties) : 0, this.choice.theme);
  }

  /** Moves so that all positions are seen, beside everything that lies over the map. */
  fit(positions: Position[], padding: Partial<PaddingOptions>): void {
    const bounds = boundsOf(positions);
    if (!bounds) return;
    this.map.fitBounds(bounds, { padding: { top: 70, bottom: 70, left: 70, right: 70, ...padding }, maxZoom: 15, duration: reducedMotion() ? 0 : 600 });
  }

  fly(to: Position, zoom = 14): void {
    this.map.flyTo({ center: to, zoom: Math.max(this.map.getZoom(), zoom), duration: reducedMotion() ? 0 : 700 });
  }

  jump({ lon, lat, zoom }: View): void {
    this.map.jumpTo({ center: [lon, lat], zoom });
  }

  /** Keeps the middle of the map out from under the phone's sheet. */
  pad(bottom: number): void {
    this.map.setPadding({ top: 0, right: 0, left: 0, bottom });
  }

  /** Asks again for the tiles of a source that failed. */
  retry(source: string): void {
    this.failing.delete(source);
    if (this.map.getSource(source)) this.map.refreshTiles(source, this.tilesInView(source));
  }

  /** The source that a layer is drawn from. */
  sourceOf(layer: string): string {
    const collection = this.collections.find((one) => one.id === layer);
    return collection ? sourceIdOf(collection) : layer;
  }
}
