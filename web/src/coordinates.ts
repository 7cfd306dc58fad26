/**
 * Coordinates typed or pasted by people: every reading that makes sense, in WGS 84.
 *
 * Chinese map services share GCJ-02 (Amap, Tencent) or BD-09 (Baidu). These are turned back into WGS 84
 * by iteration of the forward shift, and only inside the box in which the shift is applied; with the same numbers as
 * `layers/coordinates.py`.
 */
import type { Bounds, Position } from "./geometry";
import { within } from "./geometry";

/** CGCS2000 is WGS 84 within half a metre, so its values stay as they are. */
export type Datum = "WGS 84" | "CGCS2000" | "GCJ-02" | "BD-09";

export const DATUMS: readonly Datum[] = ["WGS 84", "CGCS2000", "GCJ-02", "BD-09"];

export interface Reading {
  /** Longitude and latitude in WGS 84. */
  position: Position;
  /** The datum in which the text was written. */
  datum: Datum;
  /** Whether this is the likelier of two readings. */
  likely: boolean;
}

const CHINA: Bounds = [72.004, 0.8293, 137.8347, 55.8271];
const AXIS_M = 6378245;
const ECCENTRICITY2 = 0.006693421622965943;
const BAIDU = (Math.PI * 3000) / 180;
/** Degrees: more than BD-09 moves a position anywhere in the box. */
const LARGEST_SHIFT = 0.05;
const PRECISION = 1e-9;

const inChina = ([lon, lat]: Position, margin: number) =>
  lon >= CHINA[0] - margin && lon <= CHINA[2] + margin && lat >= CHINA[1] - margin && lat <= CHINA[3] + margin;

/** WGS 84 to GCJ-02. */
function gcj02([lon, lat]: Position): Position {
  const x = lon - 105;
  const y = lat - 35;
  const root = Math.sqrt(Math.abs(x));
  const wave = (20 * Math.sin(6 * x * Math.PI) + 20 * Math.sin(2 * x * Math.PI)) * (2 / 3);
  const north =
    -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave +
    (20 * Math.sin(y * Math.PI) + 40 * Math.sin((y / 3) * Math.PI)) * (2 / 3) +
    (160 * Math.sin((y / 12) * Math.PI) + 320 * Math.sin((y * Math.PI) / 30)) * (2 / 3);
  const east =
    300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave +
    (20 * Math.sin(x * Math.PI) + 40 * Math.sin((x / 3) * Math.PI)) * (2 / 3) +
    (150 * Math.sin((x / 12) * Math.PI) + 300 * Math.sin((x / 30) * Math.PI)) * (2 / 3);
  const phi = (lat / 180) * Math.PI;
  const magic = 1 - ECCENTRICITY2 * Math.sin(phi) ** 2;
  return [
    lon + (east * 180) / ((AXIS_M / Math.sqrt(magic)) * Math.cos(phi) * Math.PI),
    lat + (north * 180) / (((AXIS_M * (1 - ECCENTRICITY2)) / (magic * Math.sqrt(magic))) * Math.PI),
  ];
}

/** GCJ-02 to BD-09. */
function bd09FromGcj02([lon, lat]: Position): Position {
  const radius = Math.hypot(lon, lat) + 0.00002 * Math.sin(lat * BAIDU);
  const angle = Math.atan2(lat, lon) + 0.000003 * Math.cos(lon * BAIDU);
  return [radius * Math.cos(angle) + 0.0065, radius * Math.sin(angle) + 0.006];
}

const SHIFTS: Partial<Record<Datum, (position: Position) => Position>> = {
  "GCJ-02": gcj02,
  "BD-09": (position) => bd09FromGcj02(gcj02(position)),
};

/** A WGS 84 position in a datum; null when that is GCJ-02 or BD-09 and the position lies outside China. */
export function fromWgs84(position: Position, datum: Datum): Position | null {
  const shift = SHIFTS[datum];
  if (!shift) return position;
  return inChina(position, PRECISION) ? shift(position) : null;
}

/** The WGS 84 position of one in a datum, below 0.1 mm; null as for `fromWgs84`. */
export function toWgs84(position: Position, datum: Datum): Position | null {
  const shift = SHIFTS[datum];
  if (!shift) return position;
  if (!inChina(position, LARGEST_SHIFT)) return null;
  let [lon, lat] = position;
  for (let round = 0; round < 10; round++) {
    const there = shift([lon, lat]);
    lon += position[0] - there[0];
    lat += position[1] - there[1];
  }
  return inChina([lon, lat], PRECISION) ? [lon, lat] : null;
}

const isPosition = ([lon, lat]: Position) => Math.abs(lon) <= 180 && Math.abs(lat) <= 90;

function reading(lon: number, lat: number, datum: Datum = "WGS 84"): Reading[] {
  if (!isPosition([lon, lat])) return [];
  // outside China the map services do not shift what they share
  return [{ position: toWgs84([lon, lat], datum) ?? [lon, lat], datum, likely: false }];
}

const NUMBER = String.raw`([-+]?\d{1,3}(?:\.\d+)?)`;
const PAIR = new RegExp(`${NUMBER}\\s*,\\s*${NUMBER}`);

/** What a link of a map service holds: which host, which part, in which order and datum. */
const LINKS: { host: RegExp; pair: RegExp; lonFirst: boolean; datum: Datum }[] = [
  { host: /amap\.com|gaode\.com/, pair: new RegExp(`(?:position|to|from|dest|center|lnglat|location)=${NUMBER},${NUMBER}`), lonFirst: true, datum: "GCJ-02" },
  { host: /amap\.com|gaode\.com/, pair: new RegExp(`(?:lng|lon)=${NUMBER}&lat=${NUMBER}`), lonFirst: true, datum: "GCJ-02" },
  { host: /amap\.com|gaode\.com/, pair: new RegExp(`lat=${NUMBER}&(?:lng|lon)=${NUMBER}`), lonFirst: false, datum: "GCJ-02" },
  { host: /amap\.com|gaode\.com/, pair: new RegExp(`[?&](?:q|p)=[^&]*?(?<![\\d.])${NUMBER},${NUMBER}`), lonFirst: false, datum: "GCJ-02" },
  { host: /map\.qq\.com/, pair: new RegExp(`pointx=${NUMBER}&pointy=${NUMBER}`), lonFirst: true, datum: "GCJ-02" },
  { host: /map\.qq\.com/, pair: new RegExp(`(?:coord|center|tocoord|fromcoord)[:=]${NUMBER},${NUMBER}`), lonFirst: false, datum: "GCJ-02" },
  { host: /baidu\.com/, pair: new RegExp(`(?:location|latlng|destination|origin|center)[:=](?:latlng:)?${NUMBER},${NUMBER}`), lonFirst: false, datum: "BD-09" },
  { host: /openstreetmap\.org/, pair: new RegExp(`map=[\\d.]+/${NUMBER}/${NUMBER}`), lonFirst: false, datum: "WGS 84" },
  { host: /openstreetmap\.org/, pair: new RegExp(`mlat=${NUMBER}&mlon=${NUMBER}`), lonFirst: false, datum: "WGS 84" },
];

function baiduDatum(text: string): Datum {
  const type = /coord_?type=(\w+)/i.exec(text)?.[1]?.toLowerCase() ?? "";
  if (type.startsWith("gcj")) return "GCJ-02";
  return type.startsWith("wgs") ? "WGS 84" : "BD-09";
}

/** The text with percent signs undone, or as it is when they make no sense. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function linkReadings(text: string): Reading[] | null {
  const link = decoded(text);
  for (const { host, pair, lonFirst, datum } of LINKS) {
    const found = host.test(link) ? pair.exec(link) : null;
    if (!found) continue;
    const [a, b] = [Number(found[1]), Number(found[2])];
    const named = datum === "BD-09" ? baiduDatum(link) : datum;
    return lonFirst ? reading(a, b, named) : reading(b, a, named);
  }
  return null;
}

const ANGLE = String.raw`(\d{1,3}(?:\.\d+)?)(?:\s*[°度:\s]\s*(\d{1,2}(?:\.\d+)?))?(?:\s*['分:\s]\s*(\d{1,2}(?:\.\d+)?))?\s*(?:["秒]|''|[°度'分])?`;

function degrees(parts: (string | undefined)[]): number | null {
  const [d, m, s] = parts.map((part) => Number(part ?? 0));
  if (d === undefined || m === undefined || s === undefined || m >= 60 || s >= 60) return null;
  return d + m / 60 + s / 3600;
}

/** Latitude and longitude that carry N, S, E, W or the Chinese words, before or after the figures. */
function letteredReadings(text: string): Reading[] | null {
  const plain = text
    .toUpperCase()
    .replace(/北纬|北緯/g, " N ")
    .replace(/南纬|南緯/g, " S ")
    .replace(/东经|東經/g, " E ")
    .replace(/西经|西經/g, " W ")
    .replace(/(?:纬度|緯度|LATITUDE|\bLAT\b)[:=\s]*/g, " N ")
    .replace(/(?:经度|經度|LONGITUDE|\bLON\b|\bLNG\b)[:=\s]*/g, " E ")
    .replace(/[,;，；、]/g, " ")
    .trim();
  const before = new RegExp(String.raw`^([NSEW])\s*(-?)${ANGLE}\s*([NSEW])\s*(-?)${ANGLE}$`).exec(plain);
  const after = new RegExp(String.raw`^(-?)${ANGLE}\s*([NSEW])\s*(-?)${ANGLE}\s*([NSEW])$`).exec(plain);
  const halves = before
    ? [[before[1], before[2], before.slice(3, 6)] as const, [before[6], before[7], before.slice(8, 11)] as const]
    : after
      ? [[after[5], after[1], after.slice(2, 5)] as const, [after[10], after[6], after.slice(7, 10)] as const]
      : null;
  if (!halves) return null;
  let lon: number | null = null;
  let lat: number | null = null;
  for (const [letter, minus, parts] of halves) {
    const size = degrees(parts);
    if (size === null) return [];
    const signed = size * (letter === "S" || letter === "W" ? -1 : 1) * (minus === "-" ? -1 : 1);
    if (letter === "N" || letter === "S") lat = signed;
    else lon = signed;
  }
  return lon === null || lat === null ? [] : reading(lon, lat);
}

/** Two bare numbers, or two groups of degrees, minutes and seconds, in either order. */
function bareReadings(text: string): Reading[] {
  const pair = new RegExp(`^[(\\[]?\\s*${NUMBER}\\s*[°度]?\\s*[,;，；、\\s/]\\s*${NUMBER}\\s*[°度]?\\s*[)\\]]?$`).exec(text);
  let first = Number(pair?.[1]);
  let second = Number(pair?.[2]);
  if (!pair) {
    const angles = new RegExp(String.raw`^${ANGLE}\s*[,;，；、\s]\s*${ANGLE}$`).exec(text);
    const [a, b] = [angles && degrees(angles.slice(1, 4)), angles && degrees(angles.slice(4, 7))];
    if (a === null || b === null) return [];
    [first, second] = [a, b];
  }
  const readings = [...reading(second, first)];
  if (first !== second) readings.push(...reading(first, second));
  return readings;
}

/**
 * Every reading of `text` as a position, the likeliest first; empty when it is not a coordinate.
 *
 * Two bare numbers may be latitude first or longitude first. Where both can be, the reading inside
 * `area` is marked likely, or else the one nearer to `view`.
 */
export function readingsOf(text: string, area: Bounds | null, view: Position): Reading[] {
  const clean = text.replace(/[″”“]/g, '"').replace(/[′’‘]/g, "'").replace(/−/g, "-").normalize("NFKC").trim();
  if (clean.length < 3 || clean.length > 2000) return [];
  const link = linkReadings(clean);
  if (link) return link;
  if (/^https?:|^geo:|^POINT/i.test(clean)) {
    const wkt = new RegExp(`^POINT\\s*\\(\\s*${NUMBER}\\s+${NUMBER}\\s*\\)$`, "i").exec(clean);
    if (wkt) return reading(Number(wkt[1]), Number(wkt[2]));
    const pair = PAIR.exec(decoded(clean));
    return pair ? reading(Number(pair[2]), Number(pair[1])) : [];
  }
  const readings = letteredReadings(clean) ?? bareReadings(clean);
  if (readings.length < 2) return readings;
  const far = ({ position: [lon, lat] }: Reading) => Math.hypot(lon - view[0], lat - view[1]);
  const inside = ({ position }: Reading) => area !== null && within(position, area);
  readings.sort((a, b) => Number(inside(b)) - Number(inside(a)) || far(a) - far(b));
  return readings.map((one, index) => ({ ...one, likely: index === 0 }));
}

/** A position as people write it: latitude first, five decimals (about a metre). */
export function coordinateText([lon, lat]: Position): string {
  return `${Math.abs(lat).toFixed(5)}°${lat < 0 ? "S" : "N"} ${Math.abs(lon).toFixed(5)}°${lon < 0 ? "W" : "E"}`;
}
