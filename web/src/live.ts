/** Changes as they happen: the map's tiles, the board and what is open follow the change log. */
import { type Box, type Change, withQuery } from "./api";
import type { Controller } from "./controller";
import { boxesOf } from "./tiles";

/** The first of several changes is shown at once, what follows in one go. */
const EVERY_MS = 1000;
const AGAIN_MS = 15_000;
/** A page out of sight gives its connection back: browsers have six for a host. */
const HIDDEN_MS = 30_000;

/** What has changed of each layer: the numbers of the items, null when they are too many; where, null when it is not known. */
export type Changed = Map<string, { fids: Set<number> | null; boxes: Box[] | null }>;

export class LiveChanges {
  private readonly act: Controller;
  private events: EventSource | null = null;
  private changed: Changed = new Map();
  private flushTimer = 0;
  private flushedAt = -Infinity;
  private againTimer = 0;
  private hiddenTimer = 0;
  /** The last change heard of; a new connection goes on from there. */
  private last = "";

  constructor(act: Controller) {
    this.act = act;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.hiddenTimer);
      if (document.hidden) this.hiddenTimer = window.setTimeout(() => { this.stop(); }, HIDDEN_MS);
      else if (!this.events) this.start();
    });
  }

  /** Listens, in place of before: what is told depends on who is signed in. */
  start(): void {
    clearTimeout(this.againTimer);
    this.events?.close();
    const events = new EventSource(withQuery("/events", { since: this.last === "" ? null : this.last }));
    this.events = events;
    events.addEventListener("open", () => {
      this.act.set({ live: { on: true, since: Date.now() } });
      this.act.view?.tryAgain();
    });
    events.addEventListener("ready", (event) => { this.last = event.lastEventId; });
    events.addEventListener("change", (event) => {
      this.last = event.lastEventId;
      this.heard(JSON.parse(String(event.data)) as Change);
    });
    events.addEventListener("error", () => {
      this.lost();
      if (events.readyState === EventSource.CLOSED) this.againTimer = window.setTimeout(() => { this.start(); }, AGAIN_MS);
    });
  }

  private stop(): void {
    this.events?.close();
    this.events = null;
    this.lost();
  }

  private lost(): void {
    const { live } = this.act.state;
    if (live.on) this.act.set({ live: { on: false, since: Date.now() } });
  }

  private heard(change: Change): void {
    const { fids, boxes } = this.changed.get(change.layer) ?? { fids: new Set<number>(), boxes: [] as Box[] };
    this.changed.set(change.layer, { fids: fids && change.fids ? new Set([...fids, ...change.fids]) : null, boxes: boxes && [...boxes, ...boxesOf(change)] });
    this.flushSoon();
  }

  private flushSoon(): void {
    if (this.flushTimer !== 0) return;
    const wait = Math.max(0, this.flushedAt + EVERY_MS - performance.now());
    this.flushTimer = window.setTimeout(() => { this.flush(); }, wait);
  }

  private flush(): void {
    this.flushTimer = 0;
    this.flushedAt = performance.now();
    const changed = this.changed;
    this.changed = new Map();
    if (this.act.state.asOf === null) this.act.layersChanged(changed);
  }
}
