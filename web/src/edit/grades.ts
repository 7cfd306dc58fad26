/** Grades as the service computes them, for the form before it is saved. */
import type { ComputedGrade, Properties, Standard } from "../api";

export interface Graded {
  /** What counts: the stated grade when it has a reason, else the standard's, else the stated one. */
  counts: string | null;
  /** What the standard gives; null when every measure is unknown, or it does not apply. */
  byStandard: string | null;
  /** Whether an unknown measure could make it higher. */
  atLeast: boolean;
  /** Whether the stated grade counts in place of the standard's. */
  overruled: boolean;
  threshold: Standard["thresholds"][number] | null;
  applies: boolean;
}

const numberIn = (row: Properties, name: string) => (typeof row[name] === "number" ? row[name] : null);

export function gradeOf({ stated: statedName, reason: reasonName, standard, measures, when = {}, at_least }: ComputedGrade, row: Properties): Graded {
  const applies = Object.entries(when).every(([name, value]) => row[name] === value);
  const known = measures.filter((name) => numberIn(row, name) !== null);
  const reaches = (limits: Record<string, number>, over: boolean) =>
    known.some((name) => {
      const [value, limit] = [numberIn(row, name), limits[name]];
      return value !== null && limit !== undefined && (over ? value > limit : value >= limit);
    });
  const reached = standard.thresholds.slice(0, -1).find((one) => reaches(one.at_least, false) || reaches(one.more_than, true)) ?? standard.thresholds.at(-1) ?? null;
  const threshold = applies && known.length > 0 ? reached : null;
  const byStandard = threshold?.grade ?? null;
  const stated = typeof row[statedName] === "string" && row[statedName] !== "" ? row[statedName] : null;
  const reason = row[reasonName];
  const overruled = stated !== null && typeof reason === "string" && reason.trim() !== "";
  const bound = Boolean(at_least) && !overruled && byStandard !== null && known.length < measures.length && byStandard !== standard.thresholds[0]?.grade;
  return { counts: overruled ? stated : (byStandard ?? stated), byStandard, atLeast: bound, overruled, threshold, applies };
}
