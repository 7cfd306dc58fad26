/** The map's style, made from the layer definitions: one source for the base map and one for each other layer. */
import type {
  CircleLayerSpecification,
  ExpressionSpecification,
  FillLayerSpecification,
  LayerSpecification,
  LineLayerSpecification,
  SourceSpecification,
  StyleSpecification,
  SymbolLayerSpecification,
} from "maplibre-gl";
import { type Collection, type Lang, type MapCollection, type MapSymbol, type Query, type Rule, type Service, withQuery } from "./api";
import { clusterCount, clusterRule, clusterSize, several, single } from "./clusters";
import { INK, type Palette, palettes, textColor, type Theme } from "./palette";
import { underRule } from "./rules";
import { colorOf, fillOutline, isPoint, opacityOf } from "./symbols";
import { TILES } from "./tiles";

/** What the style depends on. */
export interface StyleChoice {
  theme: Theme;
  lang: Lang;
  /** Whether a layer, a raster or `online` is switched on. */
  visible: (id: string) => boolean;
  /** Now, as tiles write moments: closures that have ended are not drawn. */
  now: string;
  /** What tiles are asked with: a number that grows when somebody else reads them, the moment that is shown. */
  tileQuery: Query;
}

/** What a style layer draws; kept in its `metadata`. */
export interface Drawn {
  layer: string;
  rule: number;
}

const TILE_MAX_ZOOM = 14;
const FONT = "Noto Sans SC";
/** Symbols grow to their full size as the map is zoomed in. */
const ICON_SIZE: ExpressionSpecification = ["interpolate", ["linear"], ["zoom"], 11.5, 0.76, 12, 1];
/** Where nothing is grouped they begin smaller. */
const CROWDED_SIZE: ExpressionSpecification = ["interpolate", ["linear"], ["zoom"], 7, 0.4, 8.5, 0.5, 9.5, 0.7, 11.5, 0.76, 12, 1];

export const hasMap = (collection: Collection): collection is MapCollection => collection.layer.map !== null;

export const sourceIdOf = (collection: MapCollection) =>
  collection.layer.map.group === "basemap" ? "basemap" : collection.id;

/** The picture that the map asks for: `rule|layer|index|theme`, `pattern|layer|index|theme`, `cluster|layer|index|theme|size|graded`. */
export const imageId = (kind: "rule" | "pattern", layer: string, rule: number, theme: Theme) =>
  `${kind}|${layer}|${rule}|${theme}`;

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string) => text.replace(/[&<>"]/g, (one) => escapes[one] ?? one);

function attributionOf(collections: MapCollection[]): string {
  const given = collections.flatMap((collection) => collection.sources).filter((source) => source.count > 0 || source.sample);
  const lines = given.map(({ attribution, licence, url }) => {
    const text = escaped(licence === "" || licence === "Not stated" ? attribution : `${attribution} (${licence})`);
    return url && /^https?:/.test(url) ? `<a href="${escaped(url)}" target="_blank" rel="noopener">${text}</a>` : text;
  });
  return [...new Set(lines)].join(" · ");
}

/** The address of the tiles of a source. */
const tilesOf = (members: MapCollection[], choice: StyleChoice) =>
  withQuery(`${TILES}://${location.origin}/tiles/${members.map((member) => member.id).join(",")}/{z}/{x}/{y}.mvt`, choice.tileQuery);

/** The layers that each source holds. */
function membersOf(collections: MapCollection[]): Map<string, MapCollection[]> {
  const members = new Map<string, MapCollection[]>();
  for (const one of collections) members.set(sourceIdOf(one), [...(members.get(sourceIdOf(one)) ?? []), one]);
  return members;
}

function sources(service: Service, collections: MapCollection[], choice: StyleChoice): Record<string, SourceSpecification> {
  const made: Record<string, SourceSpecification> = {};
  for (const [id, members] of membersOf(collections)) {
    made[id] = {
      type: "vector",
      tiles: [tilesOf(members, choice)],
      minzoom: Math.min(...members.map((member) => member.layer.tiles.min_zoom)),
      maxzoom: TILE_MAX_ZOOM,
      attribution: attributionOf(members),
    };
  }
  for (const raster of service.rasters) {
    made[`raster-${raster.id}`] = {
      type: "raster",
      tiles: [new URL(raster.tiles, location.origin).href.replaceAll("%7B", "{").replaceAll("%7D", "}")],
      tileSize: 256,
      minzoom: raster.minzoom,
      maxzoom: raster.maxzoom,
      ...(raster.bbox && { bounds: raster.bbox }),
    };
  }
  if (service.basemap) {
    const { url, tile_size, max_zoom, attribution } = service.basemap;
    made.online = { type: "raster", tiles: [url], tileSize: tile_size, maxzoom: max_zoom, attribution: escaped(attribution) };
  }
  return made;
}

/** The parts of a style in drawing order, from the land up. */
interface Bands {
  baseLines: LayerSpecification[];
  areas: LayerSpecification[];
  lines: LayerSpecification[];
  lineLabels: LayerSpecification[];
  /** Dots of places, under every other symbol so that they hide none. */
  places: LayerSpecification[];
  clusters: { layer: LayerSpecification; place: number }[];
  points: LayerSpecification[];
}

/** Where the clusters of a further layer stand beside those of the first, in CSS pixels; the corner of these stays free. */
const BESIDE: [number, number][] = [[0, 0], [23, 13], [-23, 13], [0, 26], [-23, -13], [0, -26]];

class Builder {
  private readonly palette: Palette;
  private readonly choice: StyleChoice;
  readonly bands: Bands = { baseLines: [], areas: [], lines: [], lineLabels: [], places: [], clusters: [], points: [] };
  /** The layers that are drawn, dangers first. */
  private readonly ranked: string[];

  constructor(collections: MapCollection[], choice: StyleChoice) {
    this.choice = choice;
    this.palette = palettes[choice.theme];
    const rank = ({ layer }: MapCollection) => (layer.map.group !== "hazards" ? 2 : layer.geometry === "Point" ? 0 : 1);
    const drawn = collections.filter(({ id, layer }) => layer.map.group !== "basemap" && choice.visible(id));
    this.ranked = drawn.toSorted((a, b) => rank(a) - rank(b)).map(({ id }) => id);
  }

  add(collection: MapCollection): void {
    const { geometry, map } = collection.layer;
    const casings: LayerSpecification[] = [];
    const strokes: LayerSpecification[] = [];
    const byRule = map.rules.map((rule, index) => ({ rule, index }));
    for (const { rule, index } of byRule.toReversed()) {
      if (geometry === "MultiPolygon" || geometry === "Geometry") this.addArea(collection, rule, index, strokes);
      if (geometry !== "Point" && geometry !== "MultiPolygon") this.addLine(collection, rule, index, casings, strokes);
      if (geometry !== "Point") this.addLineLabel(collection, rule, index);
    }
    (map.group === "basemap" ? this.bands.baseLines : this.bands.lines).push(...casings, ...strokes);
    // Far out an area is a dot; boundaries are not.
    if (geometry === "LineString" || geometry === "MultiLineString" || (geometry === "MultiPolygon" && map.group === "basemap")) return;
    for (const { rule, index } of byRule.toSorted((a, b) => a.rule.symbol.size - b.rule.symbol.size || b.index - a.index)) {
      this.addPoint(collection, rule, index);
    }
    this.addClusters(collection);
  }

  /** What every style layer of a rule has in common. */
  private common(collection: MapCollection, index: number, part: string, geometry: "Point" | "LineString" | "Polygon") {
    const { map } = collection.layer;
    const rule = map.rules[index];
    const filter: ExpressionSpecification = ["all", ["==", ["geometry-type"], geometry], ...(geometry === "Point" ? [single] : []), ...this.notEnded(collection), underRule(map, index)];
    return {
      id: `${collection.id}:${index}:${part}`,
      source: sourceIdOf(collection),
      "source-layer": collection.id,
      minzoom: Math.max(map.min_zoom, rule?.min_zoom ?? 0),
      filter,
      metadata: { layer: collection.id, rule: index } satisfies Drawn,
    };
  }

  /** What closes roads is drawn until it ends. */
  private notEnded({ layer: { closes, time } }: MapCollection): ExpressionSpecification[] {
    if (!closes?.effect || !time?.end) return [];
    return [["any", ["!", ["has", time.end]], [">", ["get", time.end], this.choice.now]]];
  }

  private visibility(collection: MapCollection): "visible" | "none" {
    return this.choice.visible(collection.id) ? "visible" : "none";
  }

  private addArea(collection: MapCollection, rule: Rule, index: number, strokes: LayerSpecification[]): void {
    const { theme } = this.choice;
    const { symbol } = rule;
    const visibility = this.visibility(collection);
    const common = (part: string) => this.common(collection, index, part, "Polygon");
    if (symbol.shape !== "line") {
      const opacity = symbol.shape === "fill" ? opacityOf(symbol, theme) : 0.25;
      const fill: FillLayerSpecification = {
        ...common("fill"), type: "fill", layout: { visibility },
        paint: { "fill-color": colorOf(symbol, theme), "fill-opacity": opacity, "fill-antialias": false },
      };
      this.bands.areas.push(fill);
      if (symbol.pattern !== "none") {
        this.bands.areas.push({
          ...common("pattern"), type: "fill", layout: { visibility },
          paint: { "fill-pattern": imageId("pattern", collection.id, index, theme) },
        });
      }
    }
    const color = symbol.shape === "line" ? colorOf(symbol, theme) : fillOutline(symbol, theme);
    const outline: LineLayerSpecification = {
      ...common("outline"), type: "line", layout: { visibility, "line-join": "round" },
      paint: { "line-color": color, "line-width": symbol.width, ...this.dash(symbol) },
    };
    if (symbol.shape === "line") strokes.push(outline);
    else this.bands.areas.push(outline);
  }

  private dash(symbol: MapSymbol) {
    return symbol.dash.length > 0 ? { "line-dasharray": [...symbol.dash] } : {};
  }

  /** Solid lines of the base map grow with the zoom; boundaries and hazards keep their width. */
  private lineWidth(collection: MapCollection, symbol: MapSymbol, extra: number): ExpressionSpecification | number {
    if (collection.layer.map.group !== "basemap" || symbol.dash.length > 0) return symbol.width + extra;
    const at = (share: number, edge: number) => symbol.width * share + extra * edge;
    return ["interpolate", ["linear"], ["zoom"], 7, at(0.4, 0.4), 11, at(0.85, 0.75), 13, at(1.4, 1), 16, at(3.2, 1.2)];
  }

  private addLine(collection: MapCollection, rule: Rule, index: number, casings: LayerSpecification[], strokes: LayerSpecification[]): void {
    const { theme } = this.choice;
    const { symbol } = rule;
    const layout = { visibility: this.visibility(collection), "line-cap": symbol.dash.length > 0 ? "butt" : "round", "line-join": "round" } as const;
    const common = (part: string) => this.common(collection, index, part, "LineString");
    if (symbol.shape === "line" && symbol.outline) {
      const casing: LineLayerSpecification = {
        ...common("casing"), type: "line", layout,
        paint: { "line-color": theme === "light" ? symbol.outline : this.palette.casing, "line-width": this.lineWidth(collection, symbol, 2) },
      };
      casings.push(casing);
    }
    strokes.push({
      ...common("line"), type: "line", layout,
      paint: { "line-color": colorOf(symbol, theme), "line-width": this.lineWidth(collection, symbol, 0), "line-opacity": opacityOf(symbol, theme), ...this.dash(symbol) },
    });
  }

  /** The name to write: in English the Latin name with the Chinese below, where a layer has both. */
  private name(collection: MapCollection): ExpressionSpecification | null {
    const field = collection.layer.map.label_field;
    if (!field) return null;
    const latin = `${field}_en`;
    const plain: ExpressionSpecification = ["coalesce", ["get", field], ""];
    if (this.choice.lang !== "en" || !collection.layer.fields.some(({ name }) => name === latin)) return plain;
    return ["case", ["has", latin], ["concat", ["get", latin], "\n", plain], plain];
  }

  private addLineLabel(collection: MapCollection, rule: Rule, index: number): void {
    const name = this.name(collection);
    if (!name) return;
    const { map, geometry, closes } = collection.layer;
    if (closes?.effect && isPoint(rule.symbol.shape)) {
      this.addSigns(collection, rule, index);
      return;
    }
    const area = geometry === "MultiPolygon";
    const common = this.common(collection, index, "label", area ? "Polygon" : "LineString");
    const color = textColor(area && rule.symbol.shape === "fill" ? this.palette.label : colorOf(rule.symbol, this.choice.theme), this.palette);
    const label: SymbolLayerSpecification = {
      ...common,
      minzoom: Math.max(common.minzoom, map.label_min_zoom),
      // Every tile of a polygon repeats its name; nearer in, the names of places do the work.
      ...(area && map.group === "basemap" && { maxzoom: map.label_min_zoom + 4 }),
      type: "symbol",
      layout: {
        visibility: this.visibility(collection),
        "symbol-placement": area ? "point" : "line",
        "symbol-spacing": 400,
        "text-field": name,
        "text-font": [`${FONT} ${area ? "Medium" : "Regular"}`],
        "text-size": 12,
        "text-letter-spacing": area || map.group === "basemap" ? 0.1 : 0,
        "text-padding": area ? 40 : 8,
        "text-max-width": 8,
      },
      paint: { "text-color": color, "text-halo-color": this.palette.halo, "text-halo-width": 1.5 },
    };
    this.bands.lineLabels.push(label);
  }

  /** The sign of what closes a road, in the middle of a line or an area, with its name below. */
  private addSigns(collection: MapCollection, rule: Rule, index: number): void {
    for (const shape of ["LineString", "Polygon"] as const) {
      const part = shape === "Polygon" ? "area-sign" : "sign";
      const placed = { visibility: this.visibility(collection), "symbol-placement": shape === "Polygon" ? "point" : "line-center" } as const;
      this.bands.points.push({
        ...this.common(collection, index, part, shape), type: "symbol",
        layout: {
          ...placed,
          "icon-image": imageId("rule", collection.id, index, this.choice.theme),
          "icon-allow-overlap": true,
          "icon-rotation-alignment": "viewport",
          "icon-size": ICON_SIZE,
        },
      });
      // With its name, the sign would go where a line is shorter than the name.
      this.bands.points.push({
        ...this.common(collection, index, `${part}-name`, shape), type: "symbol",
        layout: {
          ...placed,
          "text-field": ["step", ["zoom"], "", Math.max(collection.layer.map.label_min_zoom, 0.1), this.name(collection) ?? ""],
          "text-font": [`${FONT} Medium`],
          "text-size": 12,
          "text-rotation-alignment": "viewport",
          "text-anchor": "top",
          "text-offset": [0, rule.symbol.size / 24 + 0.2],
          "text-max-width": 9,
        },
        paint: { "text-color": textColor(colorOf(rule.symbol, this.choice.theme), this.palette), "text-halo-color": this.palette.halo, "text-halo-width": 1.5 },
      });
    }
  }

  private addPoint(collection: MapCollection, rule: Rule, index: number): void {
    const { theme } = this.choice;
    const { map } = collection.layer;
    const { symbol } = rule;
    const common = this.common(collection, index, "point", "Point");
    if (!isPoint(symbol.shape)) {
      const circle: CircleLayerSpecification = {
        ...common, type: "circle", layout: { visibility: this.visibility(collection) },
        paint: { "circle-radius": 4, "circle-color": colorOf(symbol, theme), "circle-stroke-color": fillOutline(symbol, theme), "circle-stroke-width": 1.5 },
      };
      this.bands.points.push(circle);
      return;
    }
    const name = this.name(collection);
    const place = isPlace(symbol);
    const size = !place ? 12 : symbol.size >= 10 ? 18 : symbol.size >= 8 ? 14 : 12;
    const layer: SymbolLayerSpecification = {
      ...common,
      type: "symbol",
      layout: {
        visibility: this.visibility(collection),
        "icon-image": imageId("rule", collection.id, index, theme),
        "icon-allow-overlap": true,
        "icon-size": place ? 1 : ICON_SIZE,
        "icon-padding": 1,
        ...(name && {
          "text-field": ["step", ["zoom"], "", Math.max(map.label_min_zoom, 0.1), name],
          "text-font": [`${FONT} ${size === 18 ? "Bold" : size === 14 ? "Medium" : "Regular"}`],
          "text-size": size,
          "text-variable-anchor": place ? ["bottom", "top", "left", "right"] : ["top", "bottom", "left", "right"],
          "text-radial-offset": (symbol.size / 2 + (place ? 1 : 3)) / size,
          "text-justify": "auto",
          "text-optional": true,
          "text-padding": 2,
          "text-max-width": 9,
        }),
      },
      paint: { "text-color": this.palette.label, "text-halo-color": this.palette.halo, "text-halo-width": 1.5 },
    };
    (place ? this.bands.places : this.bands.points).push(layer);
  }

  /** Items that lie too close together to be drawn one by one: a disc with their number. */
  private addClusters(collection: MapCollection): void {
    const { theme, lang } = this.choice;
    const { map } = collection.layer;
    const rule: ExpressionSpecification = ["to-string", clusterRule(map.rules.length)];
    const place = Math.max(0, this.ranked.indexOf(collection.id));
    const beside = BESIDE[place % BESIDE.length] ?? [0, 0];
    const layer: SymbolLayerSpecification = {
      id: `${collection.id}:0:cluster`,
      source: sourceIdOf(collection),
      "source-layer": collection.id,
      minzoom: map.min_zoom,
      filter: ["all", several, [">=", ["get", "rule"], 0]],
      metadata: { layer: collection.id, rule: 0 } satisfies Drawn,
      type: "symbol",
      layout: {
        visibility: this.visibility(collection),
        "icon-image": ["concat", `cluster|${collection.id}|`, rule, `|${theme}|`, ["to-string", clusterSize(place === 0)], ["case", ["has", "unknown"], "|graded", ""]],
        "icon-allow-overlap": true,
        "icon-offset": beside,
        "icon-padding": 0,
        "symbol-sort-key": ["get", "point_count"],
        "text-field": clusterCount(lang),
        "text-font": [`${FONT} Bold`],
        "text-size": place === 0 ? 13 : 12,
        "text-offset": beside.map((px) => px / (place === 0 ? 13 : 12)) as [number, number],
        "text-allow-overlap": true,
        "text-padding": 0,
      },
      paint: { "text-color": INK },
    };
    this.bands.clusters.push({ layer, place });
  }
}

/** A small plain dot stands for a place whose name matters more than its symbol. */
const isPlace = (symbol: MapSymbol) => symbol.shape === "circle" && symbol.size <= 10 && !symbol.icon && !symbol.text;

const empty = { type: "FeatureCollection" as const, features: [] };

/** What is drawn for the moment: selection, answer, incident. */
function momentLayers(palette: Palette): LayerSpecification[] {
  const text = {
    "text-font": [`${FONT} Bold`], "text-size": 12, "text-variable-anchor": ["top", "bottom", "left", "right"] as ("top" | "bottom" | "left" | "right")[],
    "text-radial-offset": 1.4, "text-justify": "auto" as const, "text-optional": true, "text-max-width": 9,
  };
  const textPaint = { "text-color": palette.label, "text-halo-color": palette.halo, "text-halo-width": 1.5 };
  const chosenColor: ExpressionSpecification = ["match", ["get", "kind"], "closure", palette.crossing, palette.route];
  const item: ExpressionSpecification = ["==", ["get", "kind"], "item"];
  return [
    ...listedLayers(palette),
    { id: "chosen:area", source: "chosen", type: "fill", filter: ["all", ["==", ["geometry-type"], "Polygon"], item], paint: { "fill-color": palette.route, "fill-opacity": 0.08 } },
    { id: "chosen:line", source: "chosen", type: "line", filter: ["all", ["!=", ["geometry-type"], "Point"], item], layout: { "line-join": "round", "line-cap": "round" }, paint: { "line-color": palette.route, "line-width": 4, "line-opacity": 0.85 } },
    {
      id: "answer:line-casing", source: "answer", type: "line", filter: ["==", ["get", "kind"], "line"], layout: { "line-cap": "round" },
      paint: { "line-color": palette.halo, "line-width": ["case", ["==", ["get", "rank"], 1], 6.5, 4.5], "line-opacity": 0.75 },
    },
    {
      id: "answer:line", source: "answer", type: "line", filter: ["==", ["get", "kind"], "line"], layout: { "line-cap": "butt" },
      paint: { "line-color": palette.route, "line-width": ["case", ["==", ["get", "rank"], 1], 3.5, 2], "line-dasharray": [3, 1.5] },
    },
    {
      id: "answer:skipped-line", source: "answer", type: "line", filter: ["==", ["get", "kind"], "skipped-line"], layout: { "line-cap": "round" },
      paint: { "line-color": palette.skipped, "line-width": 4, "line-dasharray": [0.1, 2] },
    },
    {
      id: "chosen:point", source: "chosen", type: "circle", filter: ["==", ["geometry-type"], "Point"],
      paint: { "circle-radius": 20, "circle-color": chosenColor, "circle-opacity": 0.18, "circle-stroke-color": chosenColor, "circle-stroke-width": 3 },
    },
    {
      id: "answer:symbol", source: "answer", type: "symbol", filter: ["has", "image"],
      layout: {
        "icon-image": ["get", "image"], "icon-allow-overlap": true, "symbol-sort-key": ["get", "above"],
        "text-field": ["case", ["get", "named"], ["get", "name"], ""], ...text,
      },
      paint: textPaint,
    },
    {
      id: "answer:badge", source: "answer", type: "symbol", filter: ["has", "badge"],
      layout: { "icon-image": ["get", "badge"], "icon-allow-overlap": true, "icon-ignore-placement": true, "icon-offset": [13, -13], "symbol-sort-key": ["get", "above"] },
    },
    {
      id: "answer:incident", source: "answer", type: "symbol", filter: ["==", ["get", "kind"], "incident"],
      layout: { "icon-image": "incident", "icon-allow-overlap": true },
    },
    ...editingLayers(palette),
  ];
}

/** The ways of the answer by road, and the walks between road and place: under what closes them, and under names and symbols. */
function routeLayers(palette: Palette): LayerSpecification[] {
  const round = { "line-join": "round", "line-cap": "round" } as const;
  const of = (kind: string): ExpressionSpecification => ["==", ["get", "kind"], kind];
  const byChoice = (chosen: number, other: number): ExpressionSpecification => ["case", ["get", "first"], chosen, other];
  const above: ExpressionSpecification = ["get", "above"];
  return [
    { id: "answer:walk-casing", source: "answer", type: "line", filter: of("walk"), layout: round, paint: { "line-color": palette.halo, "line-width": byChoice(6, 4.5), "line-opacity": 0.75 } },
    { id: "answer:walk", source: "answer", type: "line", filter: of("walk"), layout: round, paint: { "line-color": palette.route, "line-width": byChoice(4, 3), "line-dasharray": [0.1, 1.8] } },
    { id: "answer:route-casing", source: "answer", type: "line", filter: of("route"), layout: { ...round, "line-sort-key": above }, paint: { "line-color": palette.halo, "line-width": byChoice(9.5, 6.5), "line-opacity": 0.85 } },
    { id: "answer:route", source: "answer", type: "line", filter: of("route"), layout: { ...round, "line-sort-key": above }, paint: { "line-color": palette.route, "line-width": byChoice(6, 3.5), "line-opacity": byChoice(1, 0.75) } },
  ];
}

/** The ground that is reached by road, darker the sooner: under the roads. */
function reachLayers(palette: Palette): LayerSpecification[] {
  const colour: ExpressionSpecification = ["match", ["get", "band"], 0, palette.reach[0], 1, palette.reach[1], palette.reach[2]];
  return [
    { id: "reach:fill", source: "reach", type: "fill", paint: { "fill-color": colour, "fill-opacity": 0.6 } },
    { id: "reach:outline", source: "reach", type: "line", paint: { "line-color": palette.reach[0], "line-width": 1, "line-opacity": 0.8 } },
  ];
}

/** What cuts the way to the selected item, outlined under its own sign. */
function cutLayers(palette: Palette): LayerSpecification[] {
  const round = { "line-join": "round", "line-cap": "round" } as const;
  const filter: ExpressionSpecification = ["all", ["!=", ["geometry-type"], "Point"], ["==", ["get", "kind"], "closure"]];
  return [
    { id: "cut:casing", source: "chosen", type: "line", filter, layout: round, paint: { "line-color": palette.halo, "line-width": 9, "line-opacity": 0.8 } },
    { id: "cut:line", source: "chosen", type: "line", filter, layout: round, paint: { "line-color": palette.crossing, "line-width": 5 } },
  ];
}

/** The items of a list, drawn in place of their layer. */
function listedLayers(palette: Palette): LayerSpecification[] {
  return [
    { id: "listed:fill", source: "listed", type: "fill", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": ["get", "color"], "fill-opacity": 0.45 } },
    { id: "listed:outline", source: "listed", type: "line", filter: ["!=", ["geometry-type"], "Point"], layout: { "line-join": "round", "line-cap": "round" }, paint: { "line-color": ["get", "color"], "line-width": 3 } },
    {
      id: "listed:point", source: "listed", type: "symbol", filter: ["==", ["geometry-type"], "Point"],
      layout: {
        "icon-image": ["get", "image"], "icon-allow-overlap": true, "icon-size": CROWDED_SIZE,
        "text-field": ["step", ["zoom"], "", 12, ["get", "name"]], "text-font": [`${FONT} Regular`], "text-size": 12,
        "text-variable-anchor": ["top", "bottom", "left", "right"], "text-radial-offset": 1.3, "text-justify": "auto", "text-optional": true, "text-max-width": 9,
      },
      paint: { "text-color": palette.label, "text-halo-color": palette.halo, "text-halo-width": 1.5 },
    },
  ];
}

/** What is edited or compared: the shape as it is, as it was, what is being drawn, and where a boundary crosses itself. */
function editingLayers(palette: Palette): LayerSpecification[] {
  const kinds = (...names: string[]): ExpressionSpecification => ["in", ["get", "kind"], ["literal", names]];
  const points: ExpressionSpecification = ["==", ["geometry-type"], "Point"];
  const round = { "line-join": "round", "line-cap": "round" } as const;
  return [
    { id: "editing:area", source: "editing", type: "fill", filter: kinds("shape", "sketch"), paint: { "fill-color": palette.edited, "fill-opacity": 0.14 } },
    { id: "editing:casing", source: "editing", type: "line", filter: ["!", points], layout: round, paint: { "line-color": palette.halo, "line-width": 6, "line-opacity": 0.8 } },
    { id: "editing:line", source: "editing", type: "line", filter: kinds("shape", "sketch"), layout: round, paint: { "line-color": palette.edited, "line-width": 3 } },
    { id: "editing:old", source: "editing", type: "line", filter: kinds("old"), layout: { "line-join": "round" }, paint: { "line-color": palette.skipped, "line-width": 3, "line-dasharray": [2, 1.5] } },
    {
      id: "editing:point", source: "editing", type: "circle", filter: ["all", points, kinds("shape")],
      paint: { "circle-radius": 9, "circle-color": palette.edited, "circle-stroke-color": palette.halo, "circle-stroke-width": 3 },
    },
    {
      id: "editing:old-point", source: "editing", type: "circle", filter: ["all", points, kinds("old")],
      paint: { "circle-radius": 9, "circle-color": palette.skipped, "circle-opacity": 0.25, "circle-stroke-color": palette.skipped, "circle-stroke-width": 3 },
    },
    {
      id: "editing:crossing", source: "editing", type: "circle", filter: ["all", points, kinds("crossing")],
      paint: { "circle-radius": 11, "circle-color": palette.crossing, "circle-opacity": 0.15, "circle-stroke-color": palette.crossing, "circle-stroke-width": 3 },
    },
  ];
}

/** The whole style. */
export function styleOf(service: Service, collections: MapCollection[], choice: StyleChoice): StyleSpecification {
  const palette = palettes[choice.theme];
  const ordered = collections.toSorted((a, b) => a.layer.map.order - b.layer.map.order);
  const builder = new Builder(ordered, choice);
  for (const collection of ordered) builder.add(collection);
  const { baseLines, areas, lines, lineLabels, places, clusters, points } = builder.bands;
  const shown = (id: string) => ({ visibility: choice.visible(id) ? "visible" : "none" }) as const;
  const layers: LayerSpecification[] = [{ id: "land", type: "background", paint: { "background-color": palette.land } }];
  if (service.basemap) layers.push({ id: "online", type: "raster", source: "online", layout: shown("online") });
  for (const raster of service.rasters) {
    layers.push({
      id: `raster-${raster.id}`, type: "raster", source: `raster-${raster.id}`, layout: shown(raster.id),
      // Shades come as a brown of varying opacity; on dark land they must be black. Classes keep the colours of their legend.
      paint: { "raster-brightness-max": choice.theme === "light" || raster.legend.classes.length > 0 ? 1 : 0, "raster-fade-duration": 0 },
    });
  }
  layers.push(...reachLayers(palette), ...baseLines, ...areas, ...routeLayers(palette), ...lines, ...cutLayers(palette), ...lineLabels, ...places, ...clusters.toSorted((a, b) => b.place - a.place).map(({ layer }) => layer), ...points, ...momentLayers(palette));
  return {
    version: 8,
    sources: { ...sources(service, collections, choice), reach: { type: "geojson", data: empty }, listed: { type: "geojson", data: empty }, chosen: { type: "geojson", data: empty }, answer: { type: "geojson", data: empty }, editing: { type: "geojson", data: empty } },
    layers,
  };
}
