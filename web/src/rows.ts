/** The rows of the list in their order: each rank, with the nearer that were not chosen right under the first. */
import type { Closure, Feature, Geometry, Nearest, Ranked, Skipped } from "./api";
import type { Cluster } from "./clusters";
import type { State } from "./state";
import { type ItemRef, refOf, refText } from "./url";

export interface Row {
  id: string;
  item: ItemRef;
  /** Missing where only the item's number is known. */
  geometry?: Geometry;
  feature?: Feature;
  /** The rule that draws it; missing where only its fields tell. */
  rule?: number;
  ranked?: Ranked;
  skipped?: Skipped;
}

/** Ranked items of the open tab. */
export const rankedIn = ({ answer, tab }: State): Ranked[] =>
  (answer.value?.features ?? []).filter((one) => one.properties.layer === tab).toSorted((a, b) => a.properties.rank - b.properties.rank);

/** What was not chosen in the open tab, the nearest first. */
export const skippedIn = ({ answer, tab }: State): Skipped[] =>
  (answer.value?.skipped ?? []).filter((one) => one.layer === tab).toSorted((a, b) => a.distance_m - b.distance_m);

/** The closures that cut the way to an item, if it was left out for that. */
export const closuresOf = ({ evidence }: Skipped): Closure[] => (evidence.cut_by ?? []) as Closure[];

/** What was not chosen though nearer than the first rank, by straight line, by road or if all roads were open; and what lies farther. */
export function skippedByFirst(state: State): { nearer: Skipped[]; farther: Skipped[] } {
  const { distance_m = Infinity, travel_time_s = -Infinity } = rankedIn(state)[0]?.properties ?? {};
  const isNearer = ({ distance_m: metres, travel_time_s: seconds, evidence }: Skipped) =>
    metres <= distance_m || (seconds ?? Infinity) <= travel_time_s || (typeof evidence.travel_time_open_s === "number" && evidence.travel_time_open_s <= travel_time_s);
  const skipped = skippedIn(state);
  return { nearer: skipped.filter(isNearer), farther: skipped.filter((one) => !isNearer(one)) };
}

/** The ranks of an answer by item. */
export const ranksOf = (answer: Nearest): Record<string, number> => Object.fromEntries(answer.features.map((one) => [String(one.id), one.properties.rank]));

/** Whether an answer has other ranks than before. */
export const movedIn = (answer: Nearest, before: Record<string, number>): boolean =>
  answer.features.length !== Object.keys(before).length || answer.features.some((one) => before[String(one.id)] !== one.properties.rank);

/** The clusters in view of the layer that is listed. */
export const clustersIn = ({ listed, seen }: State): Cluster[] => (listed ? (seen.clusters[listed] ?? []) : []);

/** The items in view that are drawn singly. */
function rowsInView(state: State): Row[] {
  const { listed, inView, seen } = state;
  const rows = (inView.value?.features ?? []).flatMap((feature): Row[] => {
    const item = refOf(String(feature.id)) ?? (listed ? { layer: listed, fid: Number(feature.id) } : null);
    return item ? [{ id: refText(item), item, geometry: feature.geometry, feature }] : [];
  });
  if (!listed || clustersIn(state).length === 0) return rows;
  const known = new Map(rows.map((row) => [row.item.fid, row]));
  return (seen.alone[listed] ?? []).map(({ fid, rule }) => ({ id: `${listed}.${fid}`, item: { layer: listed, fid }, ...known.get(fid), rule }));
}

/** All rows of the list that is shown. */
export function rowsOf(state: State): Row[] {
  if (!state.incident || state.workspace === "registry") return rowsInView(state);
  const ranked = rankedIn(state).map((one): Row => ({ id: String(one.id), item: { layer: one.properties.layer, fid: one.properties.fid }, geometry: one.geometry, ranked: one }));
  const rows = (skipped: Skipped[]) => skipped.map((one): Row => ({ id: one.id, item: { layer: one.layer, fid: one.fid }, geometry: one.geometry, skipped: one }));
  const { nearer, farther } = skippedByFirst(state);
  return [...ranked.slice(0, 1), ...rows(nearer), ...ranked.slice(1), ...rows(farther)];
}
