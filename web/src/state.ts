/** What the app knows at the moment, in one place. */
import type { Account, Board, By, Collection, Feature, Filter, Lang, Nearest, Profile, Properties, Raster, Rows, ServiceArea } from "./api";
import type { Position } from "./geometry";
import type { Seen, View } from "./map";
import type { Theme } from "./palette";
import type { ItemRef } from "./url";

export type ThemeChoice = "auto" | Theme;
export type Sheet = "low" | "half" | "full";

/** Something asked of the service; `value` is the last answer, kept while a new one is on its way. */
export interface Asked<T> {
  status: "none" | "loading" | "ready" | "failed";
  value: T | null;
  error: string;
}

export interface InView {
  features: Feature[];
  /** Whether there are more than are listed. */
  more: boolean;
}

export type Workspace = "respond" | "registry";

/** The ways in which the registry shows a layer. */
export type RegistryView = "board" | "table" | "map";

/** What the registry shows. */
export interface Registry {
  /** Null: the first layer that has a workflow. */
  layer: string | null;
  view: RegistryView;
  filter: Filter;
}

/** A call to sign in: the user's own wish, or a session that has ended in the middle of work. */
export type SignIn = "asked" | "ended";

/** What is edited: an item, or with no number a new one. */
export interface Editing {
  layer: string;
  fid: number | null;
  /** What a new item begins with. */
  values?: Properties;
}

/** Whether changes are told as they happen, and since when that is so. */
export interface Live {
  on: boolean;
  since: number | null;
}

export interface State {
  lang: Lang;
  theme: ThemeChoice;
  systemTheme: Theme;
  workspace: Workspace;
  account: Account;
  /** Whether the user is being asked to sign in, and why. */
  signIn: SignIn | null;
  /** The moment whose records are shown, in the words of the link; null: now. Nothing can be changed then. */
  asOf: string | null;
  registry: Registry;
  board: Asked<Board>;
  /** The items of the table and of the registry's map, as far as they have been asked for. */
  rows: Asked<Rows>;
  /** The items chosen in the table. */
  chosen: number[];
  editing: Editing | null;
  /** The layer that a file is being imported into. */
  importing: string | null;
  live: Live;
  view: View;
  incident: Position | null;
  hazard: string | null;
  places: number | null;
  by: By;
  profile: Profile;
  /** The moment for which is asked by road, in the words of the link; null: now. */
  when: string | null;
  /** Whether the ground that is reached by road is shown. */
  reach: boolean;
  area: Asked<ServiceArea>;
  tab: string | null;
  selected: ItemRef | null;
  switched: Record<string, boolean>;
  answer: Asked<Nearest>;
  /** Ranks before the question or the roads last changed, by item. */
  ranksBefore: Record<string, number> | null;
  /** How often something else than the user's question has moved rows, which are flashed then; 0: the question did. */
  flashes: number;
  card: Asked<Feature>;
  /** The layer whose items in view are listed while there is no incident. */
  listed: string | null;
  inView: Asked<InView>;
  failed: Record<string, string>;
  busy: boolean;
  seen: Seen;
  /** The moment that the tiles tell of, while the database is away; null: now. */
  tilesAsOf: number | null;
  picking: boolean;
  legend: boolean;
  help: boolean;
  menu: boolean;
  sheet: Sheet;
  phone: boolean;
  keys: boolean;
  /** The text to be copied by hand, or that has been copied. */
  copied: { text: string; done: boolean } | null;
  toast: string | null;
  /** The last thing said to screen readers. */
  said: string;
}

export const nothing = <T>(): Asked<T> => ({ status: "none", value: null, error: "" });

type Listener = () => void;

/** A value that tells when it changes. */
export class Store<T> {
  private value: T;
  private readonly listeners = new Set<Listener>();

  constructor(value: T) {
    this.value = value;
  }

  get(): T {
    return this.value;
  }

  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const listener of this.listeners) listener();
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }
}

export const themeOf = ({ theme, systemTheme }: State): Theme => (theme === "auto" ? systemTheme : theme);

/** Whether a layer or a raster is shown from the start. */
export function isVisibleAtFirst(collections: Collection[], rasters: Raster[], id: string): boolean {
  return collections.find((one) => one.id === id)?.layer.map?.visible ?? rasters.find((one) => one.id === id)?.visible ?? true;
}

/** A choice kept in this browser; null where the browser keeps nothing. */
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(`leeward.${key}`);
  } catch {
    return null;
  }
}

/** Keeps a choice in this browser, where it lets us. */
export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`leeward.${key}`, value);
  } catch {
    // Private windows may refuse; the choice then lasts as long as the page.
  }
}
