/** What stands in the form's inputs, and the values of the layer that it means. Empty means unknown. */
import type { Code, Field, Properties, Value } from "../api";
import type { Say } from "./words";

/** The text of an input; the chosen codes of a list. */
export type Entry = string | string[];
export type Entries = Record<string, Entry>;

export const isUnknown = (entry: Entry | undefined) => entry === undefined || entry.length === 0;

export const sameEntry = (one: Entry | undefined, other: Entry | undefined) => JSON.stringify(one ?? "") === JSON.stringify(other ?? "");

const two = (n: number) => String(n).padStart(2, "0");

/** A moment as an input of local time holds it. */
export function localTime(moment: Date): string {
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}

/** A record without one of its names. */
export const without = <T>(record: Record<string, T>, name: string): Record<string, T> => Object.fromEntries(Object.entries(record).filter(([one]) => one !== name));

/** What the input of a field holds for a value. */
export function entryOf(field: Field, value: Value): Entry {
  if (field.type === "codes") return Array.isArray(value) ? value : [];
  if (value === null || value === undefined || Array.isArray(value)) return "";
  if (field.type !== "datetime") return String(value);
  const moment = new Date(String(value));
  return Number.isNaN(moment.getTime()) ? "" : localTime(moment);
}

export const entriesOf = (fields: Field[], properties: Properties): Entries =>
  Object.fromEntries(fields.map((field) => [field.name, entryOf(field, properties[field.name])]));

/** The entries of a new item. */
export const newEntries = (fields: Field[], values: Properties = {}): Entries =>
  Object.fromEntries(fields.map((field) => [field.name, entryOf(field, values[field.name] ?? field.default ?? null)]));

/** A number as people type it, full-width digits and separators of thousands included; NaN when it is none. */
export function numberOf(typed: string): number {
  const plain = typed.normalize("NFKC").trim();
  const grouped = /^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(plain) ? plain.replaceAll(",", "") : plain;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(grouped) ? Number(grouped) : Number.NaN;
}

/** The value that an entry means; the entry is known to have no problem. */
export function valueOf(field: Field, entry: Entry | undefined): Value {
  if (entry === undefined || isUnknown(entry)) return null;
  if (Array.isArray(entry)) return entry;
  switch (field.type) {
    case "integer":
    case "number":
    case "item":
      return numberOf(entry);
    case "boolean":
      return entry === "true";
    case "datetime":
      return new Date(entry).toISOString();
    case "text":
      return entry.trim() === "" ? null : entry.trim();
    default:
      return entry;
  }
}

function numberProblem(field: Field, entry: string, say: Say): string | null {
  const value = numberOf(entry);
  const unit = field.unit ?? "";
  if (Number.isNaN(value)) return say(field.type === "number" ? "not_number" : "not_integer");
  if (field.type !== "number" && !Number.isSafeInteger(value)) return say("not_integer");
  const { minimum, maximum } = field;
  if (typeof minimum === "number" && value < minimum) return say("below_minimum", { n: minimum, unit });
  if (typeof maximum === "number" && value > maximum) return say("above_maximum", { n: maximum, unit });
  return null;
}

/** Whether the pattern is found in the text; a pattern that this browser cannot read is left to the service. */
function fits(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true;
  }
}

const known = (codes: Code[] | null | undefined, code: string) => !codes || codes.some((one) => one.code === code);

/** What is wrong with an entry and what would be right, or null. */
export function problemOf(field: Field, entry: Entry | undefined, say: Say): string | null {
  if (entry === undefined || isUnknown(entry)) return field.required ? say("required") : null;
  if (Array.isArray(entry)) return entry.every((code) => known(field.codes, code)) ? null : say("not_code");
  switch (field.type) {
    case "integer":
    case "number":
    case "item":
      return numberProblem(field, entry, say);
    case "code":
      return known(field.codes, entry) ? null : say("not_code");
    case "date":
    case "datetime":
      return Number.isNaN(Date.parse(entry)) ? say("not_date") : null;
    case "text":
      if (field.required && entry.trim() === "") return say("required");
      return field.pattern && !fits(field.pattern, entry.trim()) ? say("not_pattern", { pattern: field.pattern }) : null;
    default:
      return null;
  }
}
