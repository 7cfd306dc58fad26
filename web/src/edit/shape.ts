/** Geometry as it is edited: parts of rings without the closing vertex, and what may be done to them. */
import type { Geometry, Layer } from "../api";
import type { Position } from "../geometry";

export type Kind = "point" | "line" | "polygon";

/** `parts[part][ring][vertex]`; a point and a line have one ring in each part, a polygon its outer ring and its holes. */
export interface Shape {
  kind: Kind;
  parts: Position[][][];
}

/** What is being drawn and not yet finished. */
export interface Sketch {
  kind: Kind;
  /** Whether it takes the place of the shape, is a further part, or a hole in the part that it lies in. */
  as: "whole" | "part" | "hole";
  positions: Position[];
}

/** Which vertex: part, ring, vertex. */
export type VertexPath = [number, number, number];

const EARTH_M = 6371008.8;
const radians = (degrees: number) => (degrees * Math.PI) / 180;

/** Vertices that a ring of the kind needs. */
export const vertexMinimum: Record<Kind, number> = { point: 1, line: 2, polygon: 3 };

/** The kinds that a layer takes; empty when it has no geometry. */
export function kindsOf(geometry: Layer["geometry"]): Kind[] {
  switch (geometry) {
    case "Point":
      return ["point"];
    case "LineString":
    case "MultiLineString":
      return ["line"];
    case "MultiPolygon":
      return ["polygon"];
    case "Geometry":
      return ["point", "line", "polygon"];
    case "none":
      return [];
  }
}

/** Whether a layer's items may have more than one part of the kind. */
export const takesParts = (geometry: Layer["geometry"], kind: Kind) => kind !== "point" && geometry !== "LineString";

const open = (ring: Position[]) => ring.slice(0, -1);
const closed = (ring: Position[]): Position[] => (ring[0] ? [...ring, ring[0]] : []);

/** The shape of a geometry; null for what cannot be edited here. */
export function shapeOf(geometry: Geometry | null): Shape | null {
  switch (geometry?.type) {
    case "Point":
      return { kind: "point", parts: [[[geometry.coordinates]]] };
    case "LineString":
      return { kind: "line", parts: [[geometry.coordinates]] };
    case "MultiLineString":
      return { kind: "line", parts: geometry.coordinates.map((line) => [line]) };
    case "Polygon":
      return { kind: "polygon", parts: [geometry.coordinates.map(open)] };
    case "MultiPolygon":
      return { kind: "polygon", parts: geometry.coordinates.map((rings) => rings.map(open)) };
    default:
      return null;
  }
}

/** The geometry of a shape, of the type that its layer takes. */
export function geometryOf(shape: Shape | null, type: Layer["geometry"]): Geometry | null {
  const [first] = shape?.parts ?? [];
  const [ring] = first ?? [];
  if (!shape || !first || !ring) return null;
  const multi = type.startsWith("Multi") || shape.parts.length > 1;
  if (shape.kind === "point") return ring[0] ? { type: "Point", coordinates: ring[0] } : null;
  if (shape.kind === "line") return multi ? { type: "MultiLineString", coordinates: shape.parts.map(([line = []]) => line) } : { type: "LineString", coordinates: ring };
  return multi
    ? { type: "MultiPolygon", coordinates: shape.parts.map((rings) => rings.map(closed)) }
    : { type: "Polygon", coordinates: first.map(closed) };
}

export const pointShape = (position: Position): Shape => ({ kind: "point", parts: [[[position]]] });

export const vertexAt = (shape: Shape, [part, ring, vertex]: VertexPath): Position | undefined => shape.parts[part]?.[ring]?.[vertex];

export const verticesOf = (shape: Shape): Position[] => shape.parts.flat(2);

/** The shape with one ring changed; a ring that becomes empty goes, and so does a part that loses its outer ring. */
function withRing(shape: Shape, part: number, ring: number, change: (positions: Position[]) => Position[]): Shape {
  const parts = shape.parts.map((rings, p) => (p === part ? rings.map((positions, r) => (r === ring ? change(positions) : positions)) : rings));
  const kept = parts.filter(([outer]) => outer && outer.length > 0).map((rings) => rings.filter((positions) => positions.length > 0));
  return { ...shape, parts: kept };
}

export const moveVertex = (shape: Shape, [part, ring, vertex]: VertexPath, to: Position): Shape =>
  withRing(shape, part, ring, (positions) => positions.with(vertex, to));

/** The shape with a vertex put in before the one at `path`. */
export const insertVertex = (shape: Shape, [part, ring, vertex]: VertexPath, position: Position): Shape =>
  withRing(shape, part, ring, (positions) => positions.toSpliced(vertex, 0, position));

/** Whether a vertex can go: a hole or further part may vanish with it, the only ring may not. */
export function canRemove(shape: Shape, [part, ring]: VertexPath): boolean {
  const enough = (shape.parts[part]?.[ring]?.length ?? 0) > vertexMinimum[shape.kind];
  return enough || ring > 0 || shape.parts.length > 1;
}

export function removeVertex(shape: Shape, [part, ring, vertex]: VertexPath): Shape {
  return withRing(shape, part, ring, (positions) => (positions.length > vertexMinimum[shape.kind] ? positions.toSpliced(vertex, 1) : []));
}

/** Whether a position lies in a ring. */
export function inRing([x, y]: Position, ring: Position[]): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [a, b] = [ring[i], ring[j]];
    if (!a || !b) continue;
    if (a[1] > y !== b[1] > y && x < ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]) + a[0]) inside = !inside;
  }
  return inside;
}

/** The part in which a position lies, -1 when in none. */
const partAt = (shape: Shape, position: Position) => shape.parts.findIndex(([outer]) => outer && inRing(position, outer));

/** The shape with the finished sketch: a new shape, a further part or a hole; null when the hole lies in no part. */
export function withSketch(shape: Shape | null, sketch: Sketch): Shape | null {
  const { kind, as, positions } = sketch;
  if (!shape || as === "whole") return { kind, parts: [[positions]] };
  if (as === "part") return { ...shape, parts: [...shape.parts, [positions]] };
  const part = positions[0] ? partAt(shape, positions[0]) : -1;
  return part === -1 ? null : { ...shape, parts: shape.parts.map((rings, p) => (p === part ? [...rings, positions] : rings)) };
}

interface Segment {
  a: Position;
  b: Position;
  ring: number;
  index: number;
  /** Segments in the same ring. */
  count: number;
}

function segmentsOf(rings: Position[][], isClosed: boolean): Segment[] {
  return rings.flatMap((positions, ring) => {
    const count = isClosed ? positions.length : positions.length - 1;
    return Array.from({ length: Math.max(0, count) }, (_, index) => {
      const [a, b] = [positions[index], positions[(index + 1) % positions.length]];
      return a && b ? [{ a, b, ring, index, count }] : [];
    }).flat();
  });
}

const side = (a: Position, b: Position, c: Position) => Math.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]));

/** Where two segments cross or touch, but for the vertex that neighbours share. */
function crossingOf(one: Segment, other: Segment): Position | null {
  const { a, b } = one;
  const { a: c, b: d } = other;
  const gap = Math.abs(one.index - other.index);
  if (one.ring === other.ring && (gap === 1 || gap === one.count - 1)) {
    const [shared, p, q] = one.b === c ? [c, a, d] : [a, b, c];
    const back = side(p, shared, q) === 0 && (p[0] - shared[0]) * (q[0] - shared[0]) + (p[1] - shared[1]) * (q[1] - shared[1]) > 0;
    return back ? shared : null;
  }
  const [s1, s2, s3, s4] = [side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)];
  if (s1 * s2 > 0 || s3 * s4 > 0) return null;
  const across = (b[0] - a[0]) * (d[1] - c[1]) - (b[1] - a[1]) * (d[0] - c[0]);
  if (across === 0) {
    const between = (p: Position) => p[0] >= Math.min(a[0], b[0]) && p[0] <= Math.max(a[0], b[0]) && p[1] >= Math.min(a[1], b[1]) && p[1] <= Math.max(a[1], b[1]);
    return s1 === 0 && (between(c) || between(d)) ? (between(c) ? c : d) : null;
  }
  const t = ((c[0] - a[0]) * (d[1] - c[1]) - (c[1] - a[1]) * (d[0] - c[0])) / across;
  return [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
}

/** Where the boundary of a polygon crosses itself, up to `most` places; lines may cross themselves. */
export function crossingsOf(shape: Shape | null, most = 20): Position[] {
  if (shape?.kind !== "polygon") return [];
  const found: Position[] = [];
  for (const rings of shape.parts) {
    const segments = segmentsOf(rings, true).sort((one, other) => Math.min(one.a[0], one.b[0]) - Math.min(other.a[0], other.b[0]));
    for (const [index, one] of segments.entries()) {
      const east = Math.max(one.a[0], one.b[0]);
      for (let next = index + 1; next < segments.length; next++) {
        const other = segments[next];
        if (!other || Math.min(other.a[0], other.b[0]) > east) break;
        const crossing = one.ring === other.ring && one.index > other.index ? crossingOf(other, one) : crossingOf(one, other);
        if (crossing) found.push(crossing);
        if (found.length >= most) return found;
      }
    }
  }
  return found;
}

/** Whether a hole lies outside its part. */
export const hasStrayHole = (shape: Shape): boolean =>
  shape.kind === "polygon" && shape.parts.some(([outer = [], ...holes]) => holes.some((hole) => hole[0] && !inRing(hole[0], outer)));

/** Metres between two positions on a sphere. */
export function metresBetween([lon1, lat1]: Position, [lon2, lat2]: Position): number {
  const h = Math.sin(radians(lat2 - lat1) / 2) ** 2 + Math.cos(radians(lat1)) * Math.cos(radians(lat2)) * Math.sin(radians(lon2 - lon1) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(h));
}

/** Metres as a short text, exact below a kilometre. */
export const metresText = (metres: number) => (metres < 1000 ? `${metres < 10 ? metres.toFixed(1) : Math.round(metres)} m` : `${(metres / 1000).toFixed(1)} km`);

/** Length in metres of a line, or of a sketch. */
export const lengthOf = (positions: Position[]) =>
  positions.slice(1).reduce((sum, position, index) => sum + metresBetween(positions[index] ?? position, position), 0);

function ringArea(ring: Position[]): number {
  const sum = ring.reduce((total, [lon1, lat1], index) => {
    const [lon2, lat2] = ring[(index + 1) % ring.length] ?? [lon1, lat1];
    return total + radians(lon2 - lon1) * (2 + Math.sin(radians(lat1)) + Math.sin(radians(lat2)));
  }, 0);
  return Math.abs((sum * EARTH_M * EARTH_M) / 2);
}

/** Square metres of a polygon, its holes left out. */
export const areaOf = (shape: Shape) =>
  shape.parts.reduce((sum, [outer = [], ...holes]) => sum + ringArea(outer) - holes.reduce((less, hole) => less + ringArea(hole), 0), 0);

export const sameShape = (one: Shape | null, other: Shape | null) => JSON.stringify(one) === JSON.stringify(other);
