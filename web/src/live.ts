/** Changes as they happen: the map's tiles, the board and what is open follow the change log. */
import { type Change, withQuery } from "./api";
import type { Controller } from "./controller";

const EVERY_MS = 2000;
const AGAIN_MS = 15_000;
/** A page out of sight gives its connection back: browsers have six for a host. */
const HIDDEN_MS = 30_000;

export class LiveChanges {
  private readonly act: Controller;
  private events: EventSource | null = null;
  private changed = new Map<string, Set<number> | null>();
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
    events.addEventListener("open", () => { this.act.set({ live: { on: true, since: Date.now() } }); });
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

  private heard({ layer, fids }: Change): void {
    const known = this.changed.get(layer);
    if (fids === null || known === null) this.changed.set(layer, null);
    else this.changed.set(layer, new Set([...(known ?? []), ...fids]));
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
    if (this.act.state.asOf !== null) return;
    const { selected } = this.act.state;
    const fids = selected ? changed.get(selected.layer) : undefined;
    this.act.layersChanged(new Set(changed.keys()), fids === null || (selected !== null && fids?.has(selected.fid) === true));
  }
}
