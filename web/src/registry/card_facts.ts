/** What a card says of an item in a workflow, whatever the layer. */
import type { Collection, Feature, Field, Properties } from "../api";
import type { Text } from "../i18n";
import { valueText } from "../values";

const DAY_MS = 86_400_000;

const fieldOf = (collection: Collection, name: string | null | undefined): Field | undefined => collection.layer.fields.find((field) => field.name === name);

/** Days from one date to another. */
const daysBetween = (from: string, to: string) => Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);

export interface Due {
  text: string;
  overdue: boolean;
}

/** How long an item is overdue, or when it is due, or when it was closed. */
export function dueOf({ layer }: Collection, properties: Properties, today: string, text: Text): Due {
  const workflow = layer.workflow;
  if (!workflow) return { text: "", overdue: false };
  const [state, deadline, closed] = [properties[workflow.state], properties[workflow.deadline], properties[workflow.closed_on]];
  if (typeof state === "string" && workflow.closed.includes(state)) {
    return { text: typeof closed === "string" ? text.t("closed_on", { d: text.day(closed, today) }) : text.t("closed_day_unknown"), overdue: false };
  }
  if (typeof deadline !== "string") return { text: text.t("deadline_unknown"), overdue: false };
  const late = daysBetween(deadline, today);
  return late > 0 ? { text: text.t("overdue_days", { n: late }), overdue: true } : { text: text.t("due_on", { d: text.day(deadline, today) }), overdue: false };
}

/** Type, place, households and people, each in words; that the people are unknown is said. */
export function factsOf(collection: Collection, properties: Properties, text: Text): string[] {
  const { layer } = collection;
  const workflow = layer.workflow;
  const told = new Set([workflow?.state, workflow?.grade, ...Object.keys(workflow?.when ?? {}), ...(layer.map?.rules ?? []).flatMap((rule) => Object.keys(rule.when))]);
  const type = layer.fields.find((field) => field.type === "code" && !told.has(field.name));
  const place = ["address", "admin_area"].map((name) => properties[name]).find((value) => typeof value === "string" && value !== "");
  const households = layer.fields.find((field) => field.unit === "households");
  const persons = fieldOf(collection, workflow?.persons);
  const people = [households && valueText(households, properties[households.name], text), persons && (valueText(persons, properties[persons.name], text) ?? text.t("persons_unknown"))];
  const parts = [type && valueText(type, properties[type.name], text), place, people.filter(Boolean).join(" ")];
  return parts.filter((part) => typeof part === "string" && part !== "").map(String);
}

/** Who is responsible: the first of the fixed items. */
export function responsibleOf(collection: Collection, { properties }: Pick<Feature, "properties">): string | null {
  const name = collection.layer.workflow?.fixed_items?.[0]?.fields[0];
  const value = name ? properties[name] : null;
  return typeof value === "string" && value !== "" ? value : null;
}
