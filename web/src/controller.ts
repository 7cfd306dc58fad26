/** What people do, and what follows: state, link, map and requests change here and nowhere else. */
import { along, type By, getCollections, getItem, getItems, getNearest, getServiceArea, noFilter, type Collection, type Feature, type MapCollection, type Nearest, type Profile, type Service } from "./api";
import { askByRoad } from "./by_road";
import { escapeInnermost } from "./edit/escape";
import { positions, type Geometry, type Position } from "./geometry";
import { Text } from "./i18n";
import { type Changed, LiveChanges } from "./live";
import type { Cluster } from "./clusters";
import type { Hit, MapView, Seen } from "./map";
import { RegistryControl } from "./registry/control";
import { Session } from "./session";
import { type Asked, type Editing, isVisibleAtFirst, nothing, remember, type Sheet, type State, Store, themeOf, type ThemeChoice, type Workspace } from "./state";
import { hasMap, type StyleChoice } from "./style";
import { closuresOf, movedIn, rankedIn, ranksOf, rowsOf, skippedByFirst } from "./rows";
import { type ItemRef, linkedIn, linkOf, type Linked, refOf, refText } from "./url";

/** Whether a change makes a new step in the history, replaces the last, or leaves the link alone. */
type Step = "push" | "replace" | "none";

const LISTED_ITEMS = 60;
/** So often closures that have ended leave the map. */
const ENDED_MS = 60_000;
/** So many closures of one way are outlined. */
const CLOSURES_SHOWN = 5;

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export class Controller {
  readonly store: Store<State>;
  readonly hover = new Store<Hit | null>(null);
  readonly service: Service;
  /** The layers as the account may see them. */
  collections: Collection[];
  drawn: MapCollection[];
  readonly session: Session;
  readonly registry: RegistryControl;
  readonly live: LiveChanges;
  view: MapView | null = null;
  /** How often another account has begun to read. */
  private visit = 0;
  /** The layer whose list is drawn in its place. */
  private listedOnMap: string | null = null;
  private readonly pending: Record<string, AbortController> = {};
  private toastTimer = 0;
  /** The cluster that a finger has asked about. */
  private touched = "";
  private focusList = false;

  constructor(service: Service, collections: Collection[], state: State) {
    this.service = service;
    this.collections = collections;
    this.drawn = collections.filter(hasMap);
    this.store = new Store(state);
    along.asOf = state.asOf;
    this.session = new Session(this);
    this.registry = new RegistryControl(this);
    this.live = new LiveChanges(this);
    setInterval(() => { if (this.closures && this.visible(this.closures.id)) this.view?.restyle(this.choice); }, ENDED_MS);
  }

  get state(): State {
    return this.store.get();
  }

  get text(): Text {
    return new Text(this.state.lang);
  }

  collection(id: string): Collection | undefined {
    return this.collections.find((one) => one.id === id);
  }

  /** The layers ranked for an incident, in the order of the definitions. */
  get ranked(): Collection[] {
    const ranked = this.collections.filter((one) => one.layer.nearest?.default);
    return ranked.toSorted((a, b) => (a.layer.map?.order ?? 0) - (b.layer.map?.order ?? 0));
  }

  /** The layers that the answer rests on: what is ranked, and by road what closes a way. */
  private get answering(): Collection[] {
    return [...this.ranked, ...(this.state.by === "road" ? this.collections.filter((one) => one.layer.closes) : [])];
  }

  /** The layer in which people write down what closes a road. */
  get closures(): Collection | undefined {
    return this.collections.find((one) => one.layer.closes?.effect);
  }

  visible(id: string): boolean {
    return this.state.switched[id] ?? this.visibleAtFirst(id);
  }

  private visibleAtFirst(id: string): boolean {
    return isVisibleAtFirst(this.collections, this.service.rasters, id);
  }

  // ---- workspaces

  /** The workspaces that the account may see. */
  get workspaces(): Workspace[] {
    return this.session.may("read") ? ["respond", "registry"] : ["respond"];
  }

  /** The workspace that is shown; what is edited is edited on the map. */
  get shown(): Workspace {
    return this.state.workspace;
  }

  /** Whether the map is in sight. */
  get mapShown(): boolean {
    return this.shown === "respond" || this.state.editing !== null || this.state.importing !== null || (this.session.may("read") && this.registry.view === "map");
  }

  open(workspace: Workspace): void {
    if (workspace === this.shown) return;
    this.set({ workspace, menu: false, picking: false }, "push");
    this.restyle();
    this.registry.load();
    this.registry.draw();
    void this.list();
  }

  /** What may be written, as far as the layer says; nothing at an earlier moment. */
  can(layer: string): { edit: boolean; monitor: string[] } {
    const known = this.collection(layer)?.layer;
    if (!known || this.state.asOf !== null) return { edit: false, monitor: [] };
    return { edit: this.session.may("edit"), monitor: this.session.may("monitor") ? Object.keys(known.monitoring ?? {}) : [] };
  }

  /** Whether the answer to an incident is in sight. */
  get answered(): boolean {
    return this.shown === "respond" && this.state.incident !== null;
  }

  /** Opens or closes the form of an item. */
  edit(editing: Editing | null): void {
    this.set({ editing });
    if (editing && this.state.phone) this.setSheet("full");
    this.registry.load(false);
  }

  startImport(layer: string): void {
    if (this.state.selected) this.select(null);
    this.set({ importing: layer });
    if (this.state.phone) this.setSheet("full");
  }

  /** Puts the import away; what it wrote is shown where the user asks for it. */
  endImport(show = false): void {
    const layer = this.state.importing;
    this.set({ importing: null });
    if (show && layer) this.registry.show({ layer, view: "table", filter: noFilter });
    this.registry.load();
  }

  /** Counts and sources of the layers, after they have changed. */
  async refreshCollections(): Promise<void> {
    this.collections = await getCollections();
    this.drawn = this.collections.filter(hasMap);
    this.view?.setCollections(this.drawn);
    this.set({});
  }

  /** Shows what was recorded at a moment; null: what is recorded now. */
  showAsOf(asOf: string | null): void {
    along.asOf = asOf;
    this.set({ asOf, board: nothing(), rows: nothing(), chosen: [] }, "push");
    void this.refreshCollections();
    this.restyle();
    this.start();
  }

  /** The account has changed, and with it the fields and rows that are read. */
  async reload(): Promise<void> {
    await this.refreshCollections();
    this.visit += 1;
    const registry = this.session.may("read");
    this.set({
      board: nothing(), rows: nothing(), chosen: [],
      ...(!registry && { workspace: "respond", editing: null, importing: null }),
    }, "replace");
    this.restyle();
    this.start();
    this.live.start();
  }

  /** Somebody has changed layers: tiles, lists and counts follow; so does the card, when its item is among it. */
  layersChanged(layers: Changed): void {
    for (const [layer, { boxes }] of layers) this.view?.refresh(layer, boxes);
    const { incident, selected, listed, editing } = this.state;
    const fids = selected ? layers.get(selected.layer)?.fids : undefined;
    if (selected && !editing && (fids === null || fids?.has(selected.fid))) void this.loadCard(selected, false, true);
    if (incident && this.answering.some((one) => layers.has(one.id))) void this.ask(false, "told");
    if (!incident && listed && layers.has(listed)) void this.list();
    const shown = this.shown === "registry" ? this.registry.collection : undefined;
    if (!shown || !layers.has(shown.id)) return;
    this.registry.load();
    if (!shown.layer.workflow) void this.refreshCollections();
  }

  /** This page itself has changed an item, or many of a layer; nobody waits for the change log. */
  itemChanged({ layer, fid }: { layer: string; fid: number | null }): void {
    this.layersChanged(new Map([[layer, { fids: fid === null ? null : new Set([fid]), boxes: null }]]));
  }

  set(patch: Partial<State>, step: Step = "none"): void {
    this.store.set({ ...this.state, ...patch });
    if (step !== "none") this.writeLink(step);
  }

  // ---- the link

  private linked(): Linked {
    const { workspace, registry, asOf, view, incident, hazard, places, by, profile, when, reach, tab, selected, switched, lang } = this.state;
    return { workspace, registry, asOf, view, incident, hazard, places, by, profile, when, reach, tab: incident && tab !== this.ranked[0]?.id ? tab : null, selected, switched, lang };
  }

  get link(): string {
    return linkOf(this.linked());
  }

  private writeLink(step: Step): void {
    if (this.view) this.store.set({ ...this.state, view: this.view.view() });
    if (step === "push") history.pushState(null, "", this.link);
    else history.replaceState(null, "", this.link);
  }

  /** Back or forward: takes on what the link says. */
  restore(): void {
    const linked = linkedIn(location.search);
    const { lang } = this.state;
    const { registry } = this.state;
    const relisted = JSON.stringify(registry) !== JSON.stringify(linked.registry) || along.asOf !== linked.asOf;
    along.asOf = linked.asOf;
    this.set({
      workspace: linked.workspace, registry: linked.registry, asOf: linked.asOf,
      ...(relisted && { board: nothing(), rows: nothing(), chosen: [] }),
      incident: linked.incident, hazard: linked.hazard, places: linked.places, by: linked.by, profile: linked.profile, when: linked.when, reach: linked.reach, tab: linked.tab ?? this.ranked[0]?.id ?? null,
      selected: linked.selected, switched: linked.switched, lang: linked.lang ?? lang,
    });
    if (linked.view) this.view?.jump(linked.view);
    this.restyle();
    this.start();
  }

  /** Asks for what the state needs: answer, card, list. A link that says no view shows the whole answer. */
  start(fit = false): void {
    const { incident, selected } = this.state;
    if (fit) this.registry.fitList();
    if (incident) void this.ask(fit);
    else this.set({ answer: nothing(), area: nothing(), ranksBefore: null });
    if (selected) void this.loadCard(selected, false);
    else this.set({ card: nothing() });
    this.redraw();
    void this.list();
    this.registry.load();
  }

  // ---- the incident

  setIncident(incident: Position, fly = false): void {
    const at: Position = [Number(incident[0].toFixed(6)), Number(incident[1].toFixed(6))];
    this.set({ workspace: "respond", incident: at, picking: false, selected: null, card: nothing(), answer: nothing(), area: nothing(), ranksBefore: null, copied: null }, "push");
    if (this.state.phone && this.state.sheet !== "half") this.setSheet("half");
    if (fly) this.view?.fly(at, 13);
    this.redraw();
    void this.ask(true);
  }

  clearIncident(): void {
    this.set({ incident: null, selected: null, card: nothing(), answer: nothing(), area: nothing(), ranksBefore: null, copied: null }, "push");
    this.redraw();
    void this.list();
  }

  setHazard(hazard: string | null): void {
    this.set({ hazard }, "replace");
    void this.ask(false, "asked");
  }

  setPlaces(places: number | null): void {
    this.set({ places }, "replace");
    void this.ask(false, "asked");
  }

  setBy(by: By): void {
    if (by === this.state.by) return;
    this.set({ by }, "replace");
    void this.ask(true, "asked");
  }

  setProfile(profile: Profile): void {
    this.set({ profile }, "replace");
    void this.ask(false, "asked");
  }

  /** The moment for which is asked by road; null: now. */
  setWhen(when: string | null): void {
    this.set({ when }, "replace");
    void this.ask(false, "asked");
  }

  /** Shows the ground that is reached by road, or puts it away. */
  setReach(reach: boolean): void {
    this.set({ reach, ...(!reach && { area: nothing() }) }, "replace");
    if (reach) void this.askArea(true);
    else this.redraw();
  }

  /** Asks for the ground that is reached from the incident, when it is to be shown. */
  async askArea(fit = false): Promise<void> {
    const { incident, hazard, profile, when, reach, by } = this.state;
    if (!incident || !reach || by !== "road") return;
    if (!(await this.request("area", (signal) => getServiceArea(incident, { profile, at: when }, hazard, signal)))) return;
    this.redraw();
    const area = this.state.area.value;
    if (!area) return;
    if (fit) this.fitTo([{ type: "Point", coordinates: incident }, ...area.features.map((one) => one.geometry)]);
    const persons = area.features.reduce((sum, { properties }) => sum + (properties.persons ?? 0), 0);
    this.set({ said: this.text.t("say_reach", { n: persons, m: area.features.at(-1)?.properties.to_s ? Math.round((area.features.at(-1)?.properties.to_s ?? 0) / 60) : 0 }) });
  }

  setTab(tab: string): void {
    this.set({ tab, copied: null }, "replace");
    this.redraw();
    this.sayAnswer();
    this.fitAnswer();
  }

  /** Asks for the answer; after a change, `asked` by the user or `told` by the service, it says what has moved. */
  async ask(fit: boolean, changed?: "asked" | "told"): Promise<void> {
    const { incident, hazard, places, by, profile, when, answer } = this.state;
    if (!incident) return;
    const ranks = changed && answer.value ? ranksOf(answer.value) : null;
    const question = { lon: incident[0], lat: incident[1], hazard, places };
    void this.askArea();
    const show = () => {
      const now = this.state.answer.value;
      if (!now) return;
      const moved = ranks !== null && movedIn(now, ranks);
      if (changed !== "told") this.set({ ranksBefore: ranks, flashes: 0 });
      else if (moved) this.set({ ranksBefore: ranks, flashes: this.state.flashes + 1 });
      this.redraw();
      if (changed !== "told") this.sayAnswer();
      else if (moved) this.sayNewOrder();
      if (fit) this.fitAnswer();
    };
    const done = await this.request("answer", (signal, early) => {
      if (by === "line") return getNearest(question, signal);
      const standing = answer.value?.network !== undefined;
      return askByRoad({ ...question, profile, at: when }, signal, (value) => { early(value); show(); }, standing);
    });
    if (done) show();
  }

  /** Shows the incident and the items of the open tab. */
  fitAnswer(): void {
    const { incident, answer, tab } = this.state;
    if (!incident || !answer.value) return;
    const ranked = rankedIn(this.state);
    const items = [...ranked, ...answer.value.skipped.filter((one) => one.layer === tab)];
    const routes = ranked.flatMap((one) => one.properties.route ?? []);
    this.foldLegend();
    this.fitTo([{ type: "Point", coordinates: incident }, ...items.map((one) => one.geometry), ...routes]);
  }

  private fitTo(geometries: Geometry[]): void {
    this.view?.fit(geometries.flatMap(positions), this.state.phone ? { top: 150, left: 40, right: 70, bottom: 90 } : {});
  }

  /** The legend makes room for an answer. */
  private foldLegend(): void {
    if (this.state.legend) this.set({ legend: false });
  }

  private sayAnswer(): void {
    const { answer, tab } = this.state;
    const collection = tab ? this.collection(tab) : undefined;
    if (!answer.value || !collection) return;
    const layer = collection.titles[this.state.lang];
    const ranked = answer.value.features.filter((one) => one.properties.layer === tab);
    const m = skippedByFirst(this.state).nearer.length;
    const first = ranked[0];
    const said = first
      ? this.text.t("say_results", { layer, n: ranked.length, name: String(first.properties.name ?? ""), d: this.farText(first), m })
      : this.text.t("say_none", { layer, m });
    this.set({ said });
  }

  /** How far an item is, as the answer measures it. */
  private farText({ properties: { travel_time_s: seconds, distance_m } }: Nearest["features"][number]): string {
    return seconds === undefined ? this.text.distance(distance_m) : this.text.minutes(seconds);
  }

  private sayNewOrder(): void {
    const rows = rankedIn(this.state).slice(0, 3).map((one) => `${one.properties.rank} ${this.nameOf(one, one.properties.layer)} ${this.farText(one)}`);
    this.set({ said: this.text.t("say_new_order", { rows: rows.join(this.state.lang === "zh" ? "，" : ", ") }) });
  }

  // ---- picking on the map

  pick(): void {
    this.set({ picking: true, help: false, menu: false, legend: false });
    if (this.state.phone) this.setSheet("low");
    this.view?.map.getCanvas().focus();
  }

  /** The cross stands in the middle of the free part of the map. */
  confirmPick(): void {
    if (this.view) this.setIncident(this.view.map.getCenter().toArray());
  }

  // ---- selection

  select(item: ItemRef | null, options: { geometry?: Geometry; fly?: boolean } = {}): void {
    if (!item) {
      if (!this.state.selected) return;
      this.set({ selected: null, card: nothing() }, "push");
      this.view?.choose([]);
      this.redraw();
      return;
    }
    const of = refText(item);
    const ranked = this.state.answer.value?.features.find((one) => String(one.id) === of);
    const skipped = this.state.answer.value?.skipped.find((one) => one.id === of);
    const tab = ranked?.properties.layer ?? skipped?.layer ?? this.state.tab;
    this.set({ selected: item, tab: this.state.incident ? tab : this.state.tab, card: nothing() }, "push");
    if (this.state.phone && this.state.sheet !== "half") this.setSheet("half");
    const geometry = options.geometry ?? ranked?.geometry ?? skipped?.geometry;
    if (geometry) {
      this.view?.choose([geometry]);
      const { incident } = this.state;
      if (options.fly && incident && ranked?.properties.route) this.fitTo([{ type: "Point", coordinates: incident }, geometry, ranked.properties.route]);
      else if (options.fly) this.flyTo(geometry);
    }
    this.redraw();
    void this.loadCard(item, Boolean(options.fly) && !geometry);
  }

  flyTo(geometry: Geometry): void {
    if (geometry.type === "Point") this.view?.fly(geometry.coordinates);
    else this.view?.fit(positions(geometry), {});
  }

  private async loadCard(item: ItemRef, fly: boolean, quietly = false): Promise<void> {
    const done = await this.request("card", (signal) => getItem(item.layer, item.fid, signal));
    const { card } = this.state;
    if (!done || !card.value) return;
    const { geometry } = card.value;
    const { incident } = this.state;
    const [zones, cuts] = await Promise.all([this.zonesOf(item), this.cutsOf(item)]);
    this.view?.choose([geometry, ...zones], cuts);
    if (fly) this.flyTo(geometry);
    else if (incident && cuts.length > 0 && !quietly) this.fitTo([{ type: "Point", coordinates: incident }, geometry, ...cuts]);
    if (!quietly && card.value) this.set({ said: this.text.t("say_selected", { name: this.nameOf(card.value, item.layer) }) });
  }

  /** The hazard zone for which an item was not chosen. */
  private async zonesOf(item: ItemRef): Promise<Geometry[]> {
    const zone = this.state.answer.value?.skipped.find((one) => one.id === refText(item))?.evidence.zone_id;
    const of = typeof zone === "string" ? refOf(zone) : null;
    if (!of) return [];
    return getItem(of.layer, of.fid).then((feature) => [feature.geometry], () => []);
  }

  /** The closures that cut the way to an item that was not chosen. */
  private async cutsOf(item: ItemRef): Promise<Geometry[]> {
    const skipped = this.state.answer.value?.skipped.find((one) => one.id === refText(item));
    const closures = (skipped ? closuresOf(skipped) : []).flatMap((one) => refOf(one.id) ?? []).slice(0, CLOSURES_SHOWN);
    const found = await Promise.all(closures.map((one) => getItem(one.layer, one.fid).then((feature) => [feature.geometry], () => [])));
    return found.flat();
  }

  /** The name of a feature, or its layer and number. */
  nameOf(feature: { properties: Feature["properties"]; id: string | number }, layer: string): string {
    const collection = this.collection(layer);
    const { lang } = this.state;
    const field = collection?.layer.name_field ?? "name";
    const latin = lang === "en" ? feature.properties[`${field}_en`] : null;
    const name = latin ?? feature.properties[field];
    if (typeof name === "string" && name !== "") return name;
    const number = String(feature.id).split(".").at(-1) ?? "";
    return `${collection?.titles[lang] ?? layer} ${this.text.t("number", { n: number })}`;
  }

  /** The row before or after the selected one, in the order of the list. */
  stepRow(by: 1 | -1): void {
    const inView = this.shown === "respond" || (this.registry.view === "map" && !this.registry.isFiltered);
    const rows = inView ? rowsOf(this.state) : this.registry.items;
    if (rows.length === 0) return;
    const { selected } = this.state;
    const now = selected ? rows.findIndex((row) => row.id === refText(selected)) : -1;
    const row = rows[now === -1 ? (by === 1 ? 0 : rows.length - 1) : (now + by + rows.length) % rows.length];
    if (!row) return;
    this.select(row.item, { ...(row.geometry && { geometry: row.geometry }), fly: true });
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-row="${row.id}"]`)?.focus());
  }

  mapClicked(hit: Hit | null, position: Position): void {
    if (this.state.picking) this.setIncident(position);
    else if (this.state.menu || this.state.help) this.set({ menu: false, help: false });
    else if (hit?.cluster) this.clusterClicked(hit, hit.cluster);
    else this.select(hit?.fid ? { layer: hit.layer, fid: hit.fid } : null);
  }

  /** A finger has no hover: it first asks what a cluster is. */
  private clusterClicked(hit: Hit, cluster: Cluster): void {
    const asked = this.touched === cluster.id || matchMedia("(hover: hover)").matches;
    this.touched = cluster.id;
    if (asked) this.split(cluster);
    else this.hover.set(hit);
  }

  /** Zooms in on a cluster; from the list, the focus stays there. */
  split(cluster: Cluster, listed = false): void {
    this.focusList = listed;
    this.view?.split(cluster);
  }

  /** The map has drawn all that is in view. */
  counted(seen: Seen): void {
    this.set({ seen });
    if (!this.focusList) return;
    this.focusList = false;
    requestAnimationFrame(() => document.querySelector<HTMLElement>("[data-row]")?.focus());
  }

  /** The tiles are as they were at a moment; null: as they are now, and what has failed is asked for again. */
  aged(tilesAsOf: number | null): void {
    this.set({ tilesAsOf, ...(tilesAsOf === null && { failed: {} }) });
  }

  // ---- the list of what is in view

  async list(): Promise<void> {
    const { listed, incident } = this.state;
    if ((incident && this.shown === "respond") || !listed || !this.view) return;
    const bounds = this.view.bounds();
    await this.request("inView", async (signal) => {
      const items = await getItems(listed, bounds, LISTED_ITEMS, signal);
      return { features: items.features, more: items.links?.some((link) => link.rel === "next") ?? false };
    });
  }

  setListed(listed: string): void {
    if (listed === this.state.listed && this.state.inView.status !== "none") return;
    this.set({ listed, inView: nothing() });
    void this.list();
  }

  // ---- layers, look, language

  setVisible(id: string, on: boolean): void {
    const switched = { ...this.state.switched, [id]: on };
    const own = this.visibleAtFirst(id);
    if (own === on) Reflect.deleteProperty(switched, id);
    this.set({ switched }, "replace");
    this.restyle();
  }

  setTheme(theme: ThemeChoice): void {
    remember("theme", theme);
    this.set({ theme });
    this.restyle();
  }

  setLang(lang: State["lang"]): void {
    remember("lang", lang);
    this.set({ lang }, "replace");
    this.restyle();
  }

  /** What the map's style depends on. */
  get choice(): StyleChoice {
    const { lang, asOf } = this.state;
    return {
      theme: themeOf(this.state),
      lang,
      now: `${(asOf ?? new Date().toISOString()).slice(0, 19).replace("T", " ")}+00`,
      visible: (id) => id !== this.listedOnMap && this.visible(id),
      tileQuery: { v: this.visit === 0 ? null : this.visit, as_of: asOf },
    };
  }

  restyle(): void {
    const { lang } = this.state;
    const theme = themeOf(this.state);
    document.documentElement.lang = lang === "zh" ? "zh-Hans" : "en";
    document.documentElement.dataset.theme = theme;
    document.title = `${this.service.name} · ${this.text.t(this.shown)}`;
    if (!this.view) return;
    this.view.restyle(this.choice);
    this.redraw();
  }

  /** Draws a list in place of its layer; null: the layer itself. */
  drawListed(layer: string | null, features: Feature[]): void {
    const other = this.listedOnMap !== layer;
    this.listedOnMap = layer;
    if (other) this.restyle();
    this.view?.drawListed(layer, features);
  }

  private redraw(): void {
    const { incident, answer, tab, selected } = this.state;
    if (!selected) this.view?.choose([]);
    const respond = this.shown === "respond";
    this.view?.drawReach(respond && this.state.by === "road" ? (this.state.area.value?.features ?? []) : []);
    this.view?.drawAnswer({ incident: respond ? incident : null, answer: respond ? answer.value : null, tab, selected: selected ? refText(selected) : null });
  }

  retry(source: string): void {
    const failed = { ...this.state.failed };
    Reflect.deleteProperty(failed, source);
    this.set({ failed });
    this.view?.retry(source);
  }

  setSheet(sheet: Sheet): void {
    this.set({ sheet });
  }

  setKeys(keys: boolean): void {
    remember("keys", keys ? "on" : "off");
    this.set({ keys });
  }

  // ---- copying

  async copy(text: string, show: boolean): Promise<void> {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      done = copyByCommand(text);
    }
    if (show || !done) this.set({ copied: { text, done } });
    if (done) this.toast(this.text.t("copied"));
  }

  toast(toast: string): void {
    clearTimeout(this.toastTimer);
    this.set({ toast, said: toast });
    this.toastTimer = window.setTimeout(() => { this.set({ toast: null }); }, 4000);
  }

  /** Shows an item's place on the map. */
  showOnMap(item: ItemRef, geometry: Geometry | null): void {
    if (this.shown === "registry" && !this.mapShown) this.registry.show({ view: "map" });
    this.select(item, geometry ? { geometry, fly: true } : { fly: true });
  }

  locate(): void {
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => this.view?.fly([coords.longitude, coords.latitude], 14),
      () => { this.toast(this.text.t("locate_failed")); },
      { enableHighAccuracy: true, timeout: 10000 },
    );
  }

  /** Closes the innermost thing that is open. */
  escape(): void {
    const { picking, help, menu, copied, selected, legend, phone, signIn, editing, importing, chosen } = this.state;
    if (escapeInnermost() || signIn || editing || importing !== null) return;
    if (help) this.set({ help: false });
    else if (menu) this.set({ menu: false });
    else if (picking) this.set({ picking: false });
    else if (copied) this.set({ copied: null });
    else if (legend && phone) this.set({ legend: false });
    else if (chosen.length > 0) this.set({ chosen: [] });
    else if (selected) this.select(null);
  }

  /** Asks the service, which may hand over an `early` answer; an older question of the same kind is dropped. False when dropped or failed. */
  async request<K extends "answer" | "area" | "card" | "inView" | "board" | "rows">(kind: K, ask: (signal: AbortSignal, early: (value: NonNullable<State[K]["value"]>) => void) => Promise<NonNullable<State[K]["value"]>>): Promise<boolean> {
    this.pending[kind]?.abort();
    const control = new AbortController();
    this.pending[kind] = control;
    const put = (asked: Asked<NonNullable<State[K]["value"]>>) => {
      this.set({ [kind]: asked });
    };
    const kept = this.state[kind].value as NonNullable<State[K]["value"]> | null;
    put({ status: "loading", value: kept, error: "" });
    try {
      const value = await ask(control.signal, (early) => { put({ status: "ready", value: early, error: "" }); });
      if (control.signal.aborted) return false;
      put({ status: "ready", value, error: "" });
      return true;
    } catch (error) {
      if (control.signal.aborted) return false;
      put({ status: "failed", value: null, error: reasonOf(error) });
      return false;
    }
  }
}

/** For pages without a clipboard, as over plain HTTP in an office network. */
function copyByCommand(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

