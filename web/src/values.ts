/** Field values as people read them: labels for codes, units, dates; missing stays missing. */
import type { Collection, Field, Properties, Ranked, Value } from "./api";
import type { Text } from "./i18n";

const isMissing = (value: Value) => value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);

/** A value in words, or null when it is missing. */
export function valueText(field: Field, value: Value, text: Text): string | null {
  if (value === null || value === undefined || isMissing(value)) return null;
  if (Array.isArray(value)) return value.map((one) => text.label(field.codes, one)).join(text.lang === "zh" ? "、" : ", ");
  if (typeof value === "boolean") return text.t(value ? "yes" : "no");
  if (typeof value === "number") {
    const unit = field.unit ? text.try(`unit_${field.unit}`, field.unit, { n: value }) : "";
    const year = field.type === "integer" && field.name.endsWith("year");
    return `${year ? String(value) : text.n(value)}${unit === "" ? "" : ` ${unit}`}`;
  }
  if (field.type === "code") return text.label(field.codes, value);
  return field.type === "datetime" ? text.time(value) : value;
}

export interface CardRow {
  field: Field;
  label: string;
  /** Null: unknown, and listed since it can be stated here. */
  value: string | null;
  /** How old a monitoring number is. */
  age: Age | null;
}

/** How old a field's own value is, where the layer says; too old after as many hours as its definition allows. */
function ageOfField(field: Field, properties: Properties, value: string | null, text: Text): Age | null {
  if (!field.stated_at || value === null) return null;
  const seconds = secondsSince(properties[field.stated_at]);
  if (seconds === null) return { text: text.t("age_unknown"), stale: true };
  return { text: text.age(seconds), stale: typeof field.stale_after_h === "number" && seconds > field.stale_after_h * 3600 };
}

/** The filled-in fields of a feature and those in `always`, and the labels of those that are unknown. */
export function cardRows(collection: Collection, properties: Properties, text: Text, always: string[] = []): { known: CardRow[]; unknown: string[] } {
  const known: CardRow[] = [];
  const unknown: string[] = [];
  const { fields, name_field, computed = [] } = collection.layer;
  const moments = fields.map((field) => field.stated_at);
  const bounds = computed.filter((grade) => grade.at_least && properties[grade.at_least] === true).map((grade) => grade.field);
  // A grade is said once; what the standard gives is said besides where a stated grade counts in its place.
  const said = computed.flatMap((grade) => [grade.at_least, properties[grade.computed] === properties[grade.field] ? grade.computed : null]);
  for (const field of fields) {
    if (field.name === name_field || field.name === "stated_at" || moments.includes(field.name) || said.includes(field.name)) continue;
    const plain = valueText(field, properties[field.name], text);
    const value = plain !== null && bounds.includes(field.name) ? text.t("at_least", { value: plain }) : plain;
    const label = field.label[text.lang];
    if (value === null && !always.includes(field.name)) unknown.push(label);
    else known.push({ field, label, value, age: ageOfField(field, properties, value, text) });
  }
  return { known, unknown };
}

/** One short line that tells items of a layer apart: up to `most` codes, but those in `besides`, then where it is. */
export function subtitleOf(collection: Collection, properties: Properties, text: Text, besides: string[] = [], most = 2): string {
  const codes = collection.layer.fields.filter((field) => field.type === "code" && field.name !== "status" && !besides.includes(field.name));
  const parts = codes.flatMap((field) => valueText(field, properties[field.name], text) ?? []).slice(0, most);
  const place = ["address", "admin_area"].map((name) => properties[name]).find((value) => typeof value === "string" && value !== "");
  if (typeof place === "string") parts.push(place);
  return parts.join(" · ");
}

/** A walk longer than this is said. */
export const WALK_M = 100;

/** Data older than this carry a warning. */
export const STALE_AFTER_S = 24 * 3600;

export interface Age {
  text: string;
  stale: boolean;
}

/** How old data are; older than a day is said as not updated. */
export function ageOf(seconds: number | null | undefined, text: Text): Age {
  if (seconds === null || seconds === undefined) return { text: text.t("age_unknown"), stale: true };
  if (seconds <= STALE_AFTER_S) return { text: text.age(seconds), stale: false };
  return { text: text.t("age_stale", { n: Math.max(1, Math.floor(seconds / 86400)) }), stale: true };
}

/** How far clocks may differ: what is stated later than that cannot be. */
const CLOCKS_DIFFER_S = 300;

/** Seconds since a moment, or null when it is unknown or still to come. */
export function secondsSince(iso: Value): number | null {
  const seconds = typeof iso === "string" ? (Date.now() - Date.parse(iso)) / 1000 : Number.NaN;
  return seconds >= -CLOCKS_DIFFER_S ? Math.max(0, seconds) : null;
}

/** Free places of a ranked item in words, with the age of its occupancy where that is not the item's; null when its layer has no capacity. */
export function placesText(item: Ranked, text: Text): { text: string; known: boolean; aged: boolean } | null {
  const { places_persons: places, occupancy_persons: occupancy, occupancy_age_s: seconds, age_s } = item.properties;
  if (places === undefined) return null;
  const known = typeof places === "number";
  const words = known ? text.t("places", { n: places }) : text.t("places_unknown");
  const age = typeof seconds === "number" && typeof occupancy === "number" ? text.age(seconds) : null;
  const aged = age !== null && ageOf(age_s, text).text !== age;
  return { text: aged ? `${words} · ${age}` : words, known, aged };
}

/** How old a ranked item's data are, told apart from the age of its places. */
export function ageOfItem(item: Ranked, text: Text): Age {
  const age = ageOf(item.properties.age_s, text);
  return !age.stale && placesText(item, text)?.aged ? { ...age, text: text.t("record_age", { age: age.text }) } : age;
}

/** One line an item for a chat or the radio: name, distance, direction, places, age. */
export function answerText(items: Ranked[], nameOf: (item: Ranked) => string, text: Text): string {
  return items
    .map((item) => {
      const { rank, distance_m, bearing_deg, sample, travel_time_s: seconds, road_m = 0, walk_m = 0 } = item.properties;
      const parts = [
        nameOf(item),
        seconds === undefined ? undefined : text.minutes(seconds),
        seconds === undefined ? undefined : text.t("way_distance", { d: text.distance(road_m + walk_m) }),
        walk_m > WALK_M ? text.t("with_walk", { d: text.distance(walk_m) }) : undefined,
        text.t("line_distance", { d: text.distance(distance_m) }),
        text.t("line_direction", { direction: text.direction(bearing_deg) }),
        placesText(item, text)?.text,
        ageOfItem(item, text).text,
        sample ? text.t("sample_notice") : undefined,
      ];
      return `${rank}. ${parts.filter((part) => part !== undefined).join(text.lang === "zh" ? "，" : ", ")}`;
    })
    .join("\n");
}
