/** What the app knows at the moment, in one place. */
import type { Collection, Feature, Lang, Nearest } from "./api";
import type { Position } from "./geometry";
import type { Counts, View } from "./map";
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

export interface State {
  lang: Lang;
  theme: ThemeChoice;
  systemTheme: Theme;
  view: View;
  incident: Position | null;
  hazard: string | null;
  places: number | null;
  tab: string | null;
  selected: ItemRef | null;
  switched: Record<string, boolean>;
  answer: Asked<Nearest>;
  /** Ranks before the last change of hazard or persons, by item. */
  ranksBefore: Record<string, number> | null;
  card: Asked<Feature>;
  /** The layer whose items in view are listed while there is no incident. */
  listed: string | null;
  inView: Asked<InView>;
  failed: Record<string, string>;
  busy: boolean;
  counts: Counts;
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

/** Whether a layer is switched on: by hand, or else by its definition. */
export function isVisible({ switched }: State, collections: Collection[], id: string): boolean {
  return switched[id] ?? collections.find((one) => one.id === id)?.layer.map?.visible ?? true;
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
