/** The rows of the list in their order: each rank, with the nearer that were not chosen right under the first. */
import type { Geometry, Ranked, Skipped } from "./api";
import type { State } from "./state";
import { type ItemRef, refOf } from "./url";

export interface Row {
  id: string;
  item: ItemRef;
  geometry: Geometry;
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

/** All rows of the list that is shown. */
export function rowsOf(state: State): Row[] {
  if (!state.incident || state.workspace === "registry") {
    return (state.inView.value?.features ?? []).flatMap((feature): Row[] => {
      const item = refOf(String(feature.id)) ?? (state.listed ? { layer: state.listed, fid: Number(feature.id) } : null);
      return item ? [{ id: `${item.layer}.${item.fid}`, item, geometry: feature.geometry }] : [];
    });
  }
  const ranked = rankedIn(state).map((one): Row => ({ id: String(one.id), item: { layer: one.properties.layer, fid: one.properties.fid }, geometry: one.geometry, ranked: one }));
  const rows = (skipped: Skipped[]) => skipped.map((one): Row => ({ id: one.id, item: { layer: one.layer, fid: one.fid }, geometry: one.geometry, skipped: one }));
  const { nearer, farther } = skippedByFirst(state);
  return [...ranked.slice(0, 1), ...rows(nearer), ...ranked.slice(1), ...rows(farther)];
}
