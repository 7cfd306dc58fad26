/** What people do in the registry: which layer, which list, the next page, "still true". */
import { type Collection, type Feature, type Filter, getBoard, getRows, noFilter } from "../api";
import type { Controller } from "../controller";
import { patchItem, readItem } from "../edit/requests";
import { type Geometry, positions } from "../geometry";
import { nothing, type Registry, type RegistryView } from "../state";
import type { Row } from "../rows";
import { refOf, refText } from "../url";

/** Cards of one column; more are in its list. */
export const CARDS = 50;
const PAGE = 200;

export const fidOf = (feature: Pick<Feature, "id">): number => refOf(String(feature.id))?.fid ?? Number(feature.id);

export class RegistryControl {
  private readonly act: Controller;

  /** Whether the map is to show the whole list once it is there. */
  private fitNext = false;

  constructor(act: Controller) {
    this.act = act;
  }

  /** The layers that can be shown, those with a workflow first. */
  get layers(): Collection[] {
    const own = this.act.collections.filter((one) => one.layer.map?.group !== "basemap");
    return [...own.filter((one) => one.layer.workflow), ...own.filter((one) => !one.layer.workflow)];
  }

  get collection(): Collection | undefined {
    const { layer } = this.act.state.registry;
    return this.layers.find((one) => one.id === layer) ?? this.layers[0];
  }

  /** The ways in which the layer can be shown: only a workflow has a board, and only a geometry a map. */
  get views(): RegistryView[] {
    const layer = this.collection?.layer;
    return [...(layer?.workflow ? (["board"] as const) : []), "table", ...(layer?.map ? (["map"] as const) : [])];
  }

  get view(): RegistryView {
    const { view } = this.act.state.registry;
    return this.views.includes(view) ? view : "table";
  }

  get isFiltered(): boolean {
    const { state, missing, area, q, fields } = this.act.state.registry.filter;
    return [state, missing, area, q].some((one) => one !== null) || Object.keys(fields).length > 0;
  }

  /** Shows another layer, view or list. */
  show(patch: Partial<Registry>): void {
    const { registry } = this.act.state;
    const other = patch.layer !== undefined && patch.layer !== this.collection?.id;
    const next = { ...registry, ...(other && { filter: noFilter }), ...patch };
    const relisted = other || JSON.stringify(next.filter) !== JSON.stringify(registry.filter);
    this.act.set({ registry: next, ...(other && { board: nothing() }), ...(relisted && { rows: nothing(), chosen: [] }) }, "push");
    if (other && this.act.state.selected) this.act.select(null);
    this.load(other);
    if (relisted || patch.view === "map") this.fitList();
    this.draw();
  }

  /** Opens a list as a table, or on the map where the map is open. */
  list(filter: Partial<Filter>): void {
    this.show({ view: this.view === "map" ? "map" : "table", filter: { ...noFilter, ...filter } });
  }

  /** Shows the whole list on the map once it is there. */
  fitList(): void {
    this.fitNext = this.isFiltered && !this.act.state.selected;
  }

  /** Asks for what is shown. */
  load(again = true): void {
    const collection = this.collection;
    if (this.act.shown !== "registry" || !collection) return;
    const { board, rows } = this.act.state;
    if (this.act.mapShown) this.act.setListed(collection.id);
    if (collection.layer.workflow && (again || board.status === "none")) void this.loadBoard();
    const needsRows = this.view === "table" || (this.view === "map" && this.isFiltered);
    if (needsRows && (again || rows.status === "none")) void this.loadRows();
    this.draw();
  }

  async loadBoard(): Promise<void> {
    const layer = this.collection?.id;
    if (layer) await this.act.request("board", (signal) => getBoard(layer, CARDS, signal));
  }

  /** The first pages of the list: as many rows as are shown now. */
  async loadRows(): Promise<void> {
    const layer = this.collection?.id;
    if (!layer) return;
    const { filter } = this.act.state.registry;
    const shown = Math.max(PAGE, this.act.state.rows.value?.features.length ?? 0);
    await this.act.request("rows", async (signal) => {
      const rows = await getRows(layer, filter, PAGE, null, signal);
      while (rows.next !== null && rows.features.length < shown) {
        const page = await getRows(layer, filter, PAGE, rows.next, signal);
        rows.features = [...rows.features, ...page.features];
        rows.next = page.next;
      }
      return rows;
    });
    this.draw();
  }

  /** The next page, or all that are left. */
  async more(all = false): Promise<void> {
    const { rows, registry } = this.act.state;
    const layer = this.collection?.id;
    if (!layer || rows.status !== "ready" || !rows.value?.next) return;
    const kept = rows.value;
    await this.act.request("rows", async (signal) => {
      let { features, next } = kept;
      do {
        const page = await getRows(layer, registry.filter, all ? 1000 : PAGE, next, signal);
        features = [...features, ...page.features];
        next = page.next;
      } while (all && next !== null);
      return { features, next };
    });
    this.draw();
  }

  /** The rows that are shown, in their order. */
  get items(): Row[] {
    const { board, rows } = this.act.state;
    const layer = this.collection?.id ?? "";
    const features = this.view === "board" ? (board.value?.states.flatMap((one) => one.items) ?? []) : (rows.value?.features ?? []);
    return features.map((feature) => {
      const item = { layer, fid: fidOf(feature) };
      return { id: refText(item), item, geometry: feature.geometry };
    });
  }

  /** Draws the list on the map in place of its layer. */
  draw(): void {
    const listed = this.act.shown === "registry" && this.view === "map" && this.isFiltered ? this.collection : undefined;
    const features = this.act.state.rows.value?.features ?? [];
    this.act.drawListed(listed?.id ?? null, features);
    if (!listed || !this.fitNext || features.length === 0) return;
    this.fitNext = false;
    this.act.view?.fit(features.flatMap((one) => ((one.geometry as Geometry | null) ? positions(one.geometry) : [])), this.act.state.phone ? { top: 100, bottom: 30, left: 30, right: 60 } : {});
  }

  /** Says that an item still is as it was stated. */
  async confirm(layer: string, fid: number): Promise<void> {
    const { text } = this.act;
    try {
      const { etag } = await readItem(layer, fid);
      const { feature } = await patchItem(layer, fid, { properties: { stated_at: new Date().toISOString() } }, etag);
      this.act.toast(text.t("confirmed", { name: this.act.nameOf(feature, layer) }));
      this.act.itemChanged({ layer, fid });
    } catch (error) {
      this.act.toast(text.t("not_confirmed", { reason: error instanceof Error ? error.message : String(error) }));
    }
  }
}
