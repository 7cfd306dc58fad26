/** Tiles on their way to the map: what their headers say of their age and of layers drawn coarser; and which tiles a change touches. */
import { addProtocol } from "maplibre-gl";
import { type Box, type Change, problemOf } from "./api";

/** The scheme of the addresses that the map asks for by way of this page. */
export const TILES = "leeward";
const AGAIN_MS = 10_000;
/** How far beside its edge a tile shows what lies there, as a share of its width. */
const BUFFER = 1 / 64;
const CELLS_A_ROW = 2 ** 12;

export interface TilePlace {
  z: number;
  x: number;
  y: number;
}

export interface TileEvents {
  /** The database is away, and tiles are as they were at a moment; null: it is back. */
  aged: (asOf: number | null) => void;
}

const isStale = (response: Response) => response.headers.get("warning")?.startsWith("110") === true;

/** Fetches tiles; while the service cannot make new ones, looks now and then whether it can again. */
export class Tiles {
  private readonly events: TileEvents;
  /** Addresses that were answered with an old tile, or with none. */
  private readonly troubled = new Set<string>();
  private asOf: number | null = null;
  private timer = 0;
  private readonly coarse = new Map<string, string[]>();

  constructor(events: TileEvents) {
    this.events = events;
    addProtocol(TILES, ({ url }, control) => this.fetch(url.slice(TILES.length + 3), control.signal));
  }

  private async fetch(url: string, signal: AbortSignal): Promise<{ data: ArrayBuffer; etag?: string }> {
    const response = await this.ask(url, signal);
    if (!response.ok) {
      if (response.status >= 500) this.trouble(url);
      throw await problemOf(response);
    }
    const { headers } = response;
    const coarser = headers.get("leeward-coarser");
    if (coarser) this.coarse.set(new URL(url).pathname, coarser.split(","));
    else this.coarse.delete(new URL(url).pathname);
    const etag = headers.get("etag");
    return { data: await response.arrayBuffer(), ...(etag !== null && { etag }) };
  }

  private async ask(url: string, signal: AbortSignal): Promise<Response> {
    try {
      let response = await fetch(url, { signal });
      // A browser keeps the warning of an earlier answer, even when the tile has been found to be the same since.
      if (isStale(response)) response = await fetch(url, { signal, cache: "reload" });
      if (isStale(response)) this.trouble(url, Date.now() - 1000 * Number(response.headers.get("age") ?? 0));
      return response;
    } catch (error) {
      if (signal.aborted) throw error;
      const kept = await fetch(url, { signal, cache: "only-if-cached", mode: "same-origin" }).catch(() => null);
      this.trouble(url, kept?.ok ? Date.parse(kept.headers.get("date") ?? "") || Date.now() : null);
      if (kept?.ok) return kept;
      throw error;
    }
  }

  private trouble(url: string, asOf: number | null = null): void {
    this.troubled.add(url);
    if (this.timer === 0) this.timer = window.setTimeout(() => { void this.tryAgain(); }, AGAIN_MS);
    if (asOf === null || (this.asOf !== null && asOf >= this.asOf)) return;
    this.asOf = asOf;
    this.events.aged(asOf);
  }

  /** Whether the service gives old tiles, or none. */
  get isTroubled(): boolean {
    return this.troubled.size > 0;
  }

  /** Asks for one of the tiles that were old or missing. */
  async tryAgain(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = 0;
    const [url] = this.troubled;
    if (url === undefined) return;
    this.troubled.delete(url);
    const response = await fetch(url, { cache: "no-store" }).catch(() => null);
    if (!response || response.status >= 500 || isStale(response)) {
      this.trouble(url);
      return;
    }
    this.troubled.clear();
    this.asOf = null;
    this.events.aged(null);
  }

  /** Whether a layer of a tile was too large to be drawn as it is. */
  isCoarse(layer: string, { z, x, y }: TilePlace): boolean {
    const end = `/${z}/${x}/${y}.mvt`;
    return [...this.coarse].some(([path, layers]) => path.endsWith(end) && layers.includes(layer));
  }
}

/** Where a change touched its layer: its boxes, else its cells of zoom 12, else its box. */
export function boxesOf({ boxes, cells, bbox }: Change): Box[] {
  if (boxes) return boxes;
  if (cells) return cells.map(([x, y]) => [longitude(x), latitude(y + 1), longitude(x + 1), latitude(y)]);
  return bbox ? [bbox] : [];
}

const longitude = (column: number) => (column / CELLS_A_ROW) * 360 - 180;
const latitude = (row: number) => (Math.atan(Math.sinh(Math.PI * (1 - (2 * row) / CELLS_A_ROW))) * 180) / Math.PI;

/** Share of the world from its north edge in Web Mercator. */
function fromNorth(latitude_deg: number): number {
  const sine = Math.sin((Math.max(-85.06, Math.min(85.06, latitude_deg)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

/** Whether a box touches a tile or its buffer. */
export function touches([west, south, east, north]: Box, { z, x, y }: TilePlace): boolean {
  const size = 2 ** z;
  const [left, right] = [((west + 180) / 360) * size, ((east + 180) / 360) * size];
  const [top, bottom] = [fromNorth(north) * size, fromNorth(south) * size];
  return right >= x - BUFFER && left <= x + 1 + BUFFER && bottom >= y - BUFFER && top <= y + 1 + BUFFER;
}
