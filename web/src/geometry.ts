/** GeoJSON geometry: types, and the few measures the map needs. */
export type Position = [number, number];
export type Bounds = [number, number, number, number];

export type Geometry =
  | { type: "Point"; coordinates: Position }
  | { type: "LineString" | "MultiPoint"; coordinates: Position[] }
  | { type: "MultiLineString" | "Polygon"; coordinates: Position[][] }
  | { type: "MultiPolygon"; coordinates: Position[][][] };

/** The positions of a geometry, in order. */
export function positions(geometry: Geometry): Position[] {
  switch (geometry.type) {
    case "Point":
      return [geometry.coordinates];
    case "MultiPoint":
    case "LineString":
      return geometry.coordinates;
    case "MultiLineString":
    case "Polygon":
      return geometry.coordinates.flat();
    case "MultiPolygon":
      return geometry.coordinates.flat(2);
  }
}

/** West, south, east, north of the positions, or null when there are none. */
export function boundsOf(points: Position[]): Bounds | null {
  const first = points[0];
  if (!first) return null;
  const bounds: Bounds = [first[0], first[1], first[0], first[1]];
  for (const [lon, lat] of points) {
    bounds[0] = Math.min(bounds[0], lon);
    bounds[1] = Math.min(bounds[1], lat);
    bounds[2] = Math.max(bounds[2], lon);
    bounds[3] = Math.max(bounds[3], lat);
  }
  return bounds;
}

/** The point itself, or the middle of the bounds of a line or polygon. */
export function middleOf(geometry: Geometry): Position {
  const bounds = boundsOf(positions(geometry));
  return bounds ? [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2] : [0, 0];
}

/** Whether a position lies in the bounds. */
export function within([lon, lat]: Position, bounds: Bounds): boolean {
  return lon >= bounds[0] && lon <= bounds[2] && lat >= bounds[1] && lat <= bounds[3];
}
