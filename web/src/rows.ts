/** The rows of the list in their order: each rank, with the nearer that were not chosen right under the first. */
import type { Feature, Geometry, Ranked, Skipped } from "./api";
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

/** What was not chosen though nearer than the first rank, and what lies farther. */
export function skippedByFirst(state: State): { nearer: Skipped[]; farther: Skipped[] } {
  const first = rankedIn(state)[0]?.properties.distance_m ?? Infinity;
  const skipped = skippedIn(state);
  return { nearer: skipped.filter((one) => one.distance_m <= first), farther: skipped.filter((one) => one.distance_m > first) };
}

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
