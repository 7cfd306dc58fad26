/** Clusters: points of a tile that stand for several items each, and what these add up to. */
import type { ExpressionSpecification } from "maplibre-gl";
import type { Collection, Lang, Position, Properties, Value } from "./api";
import type { Text } from "./i18n";

export interface Cluster {
  id: string;
  at: Position;
  count: number;
  /** How many items each rule of the legend draws. */
  counts: number[];
  /** The gravest rule; in a layer without grades the one that draws most. */
  rule: number;
  graded: boolean;
  /** The people concerned; null: of no item known. */
  persons: number | null;
  /** Items of which the people are not known; null: the layer tells of no people. */
  persons_unknown: number | null;
  area_m2: number | null;
  sample: boolean;
}

const known = (value: Value) => (typeof value === "number" ? value : null);

/** Whether a feature of a tile stands for several items. */
export const isCluster = (properties: Properties) => (known(properties.point_count) ?? 0) > 1;

export function clusterOf(properties: Properties, at: Position, rules: number): Cluster {
  const counts = Array.from({ length: rules }, (_, index) => known(properties[`n${index}`]) ?? 0);
  const graded = known(properties.unknown) !== null;
  return {
    id: at.map((n) => n.toFixed(6)).join(","),
    at,
    count: known(properties.point_count) ?? 0,
    counts,
    rule: graded ? (known(properties.rule) ?? 0) : counts.indexOf(Math.max(...counts)),
    graded,
    persons: known(properties.persons),
    persons_unknown: known(properties.persons_unknown),
    area_m2: known(properties.area_m2),
    sample: properties.sample === true,
  };
}

const COUNT: ExpressionSpecification = ["coalesce", ["get", "point_count"], 1];

/** True for features that stand for several items. */
export const several: ExpressionSpecification = [">", COUNT, 1];

/** True for features that are one item. */
export const single: ExpressionSpecification = ["<=", COUNT, 1];

/** The rule whose symbol a cluster carries; see `Cluster.rule`. */
export function clusterRule(rules: number): ExpressionSpecification {
  const counts = Array.from({ length: rules }, (_, index): ExpressionSpecification => ["coalesce", ["get", `n${index}`], 0]);
  const most = counts.slice(0, -1).reduceRight<ExpressionSpecification | number>(
    (otherwise, count, index) => ["case", ["==", count, ["max", 0, ...counts]], index, otherwise],
    rules - 1,
  );
  return ["case", ["has", "unknown"], ["get", "rule"], most];
}

/** The disc's width in CSS pixels, which grows with the number of digits; smaller beside the clusters of another layer. */
export const clusterSize = (first: boolean): ExpressionSpecification =>
  first ? ["step", COUNT, 32, 10, 36, 100, 40, 1000, 44] : ["step", COUNT, 26, 10, 29, 100, 34, 1000, 40];

/** The count in three or four characters. */
export function clusterCount(lang: Lang): ExpressionSpecification {
  const in_units = (unit: number, name: string, decimals: number): ExpressionSpecification =>
    ["concat", ["to-string", ["/", ["round", ["/", COUNT, unit / 10 ** decimals]], 10 ** decimals]], name];
  return lang === "zh"
    ? ["step", COUNT, ["to-string", COUNT], 10_000, in_units(10_000, "万", 1), 100_000, in_units(10_000, "万", 0)]
    : ["step", COUNT, ["to-string", COUNT], 1000, in_units(1000, "k", 1), 10_000, in_units(1000, "k", 0), 1_000_000, in_units(1_000_000, "M", 1)];
}

/** What a cluster's items add up to, in words: people and of how many they are not known, area. */
export function sumsOf({ persons, persons_unknown, area_m2 }: Cluster, collection: Collection, text: Text): string[] {
  const said: string[] = [];
  if (persons_unknown !== null) {
    const label = collection.layer.fields.find((field) => field.name === collection.layer.tiles.persons)?.label[text.lang] ?? text.t("persons_in_all");
    const unknown = persons_unknown > 0 ? text.t("sum_unknown", { n: persons_unknown }) : null;
    said.push([text.t("labelled", { label, value: persons === null ? text.t("unknown") : text.n(persons) }), unknown].filter(Boolean).join(text.lang === "zh" ? "，" : ", "));
  }
  if (area_m2 !== null) said.push(text.t("labelled", { label: text.t("area_in_all"), value: text.area(area_m2) }));
  return said;
}
