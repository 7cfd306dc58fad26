/** The form's contents and its steps, for undo and redo. */
import type { Collection, Feature, Field, Layer, Properties } from "../api";
import { type Entries, type Entry, entriesOf, isUnknown, newEntries, problemOf, sameEntry, valueOf } from "./entries";
import { gradeOf } from "./grades";
import { crossingsOf, geometryOf, hasStrayHole, kindsOf, sameShape, type Shape, shapeOf, type Sketch, vertexMinimum } from "./shape";
import type { Say } from "./words";

export interface Form {
  entries: Entries;
  shape: Shape | null;
  sketch: Sketch | null;
  reason: string;
}

export interface Steps {
  past: Form[];
  now: Form;
  future: Form[];
  /** What the last step changed, and when: typing on in one field is one step. */
  last: string;
  at: number;
}

const ONE_STEP_MS = 1500;
const STEPS_KEPT = 200;

export const begin = (now: Form): Steps => ({ past: [], now, future: [], last: "", at: 0 });

/** A step; a further change to the same thing soon after is the same step. */
export function step(steps: Steps, change: Partial<Form>, what: string, at = Date.now()): Steps {
  const now = { ...steps.now, ...change };
  const same = what !== "" && steps.last === what && at - steps.at < ONE_STEP_MS && steps.past.length > 0;
  return { past: same ? steps.past : [...steps.past, steps.now].slice(-STEPS_KEPT), now, future: [], last: what, at };
}

export function undo(steps: Steps): Steps {
  const now = steps.past.at(-1);
  return now ? { past: steps.past.slice(0, -1), now, future: [steps.now, ...steps.future], last: "", at: 0 } : steps;
}

export function redo(steps: Steps): Steps {
  const [now, ...future] = steps.future;
  return now ? { past: [...steps.past, steps.now], now, future, last: "", at: 0 } : steps;
}

/** The fields that people fill in. */
export const editable = (layer: Layer): Field[] => layer.fields.filter((field) => !field.computed);

/** The form of an item, or of a new one that begins with some values. */
export function formOf(layer: Layer, feature: Feature | null, values: Properties = {}): Form {
  const entries = feature ? entriesOf(editable(layer), feature.properties) : newEntries(editable(layer), values);
  return { entries, shape: shapeOf(feature?.geometry ?? null), sketch: null, reason: "" };
}

export const changedFields = (layer: Layer, base: Form, now: Form): Field[] =>
  editable(layer).filter(({ name }) => !sameEntry(base.entries[name], now.entries[name]));

export const isDirty = (layer: Layer, base: Form, now: Form) =>
  changedFields(layer, base, now).length > 0 || !sameShape(base.shape, now.shape) || now.sketch !== null;

/** What is sent: the fields that were changed, and the geometry if it was. */
export function patchOf(layer: Layer, base: Form, now: Form): Record<string, unknown> {
  const properties = Object.fromEntries(changedFields(layer, base, now).map((field) => [field.name, valueOf(field, now.entries[field.name])]));
  const geometry = sameShape(base.shape, now.shape) ? {} : { geometry: geometryOf(now.shape, layer.geometry) };
  const reason = now.reason.trim() === "" ? {} : { reason: now.reason.trim() };
  return { type: "Feature", properties, ...geometry, ...reason };
}

/** The whole of a new item. */
export function featureOf(layer: Layer, now: Form): Record<string, unknown> {
  const known = editable(layer).filter(({ name }) => !isUnknown(now.entries[name]));
  const properties = Object.fromEntries(known.map((field) => [field.name, valueOf(field, now.entries[field.name])]));
  const reason = now.reason.trim() === "" ? {} : { reason: now.reason.trim() };
  return { type: "Feature", properties, geometry: geometryOf(now.shape, layer.geometry), ...reason };
}

/** The values that the form means; an entry with a problem counts as unknown. */
export function valuesOf(layer: Layer, now: Form): Properties {
  const readable = editable(layer).filter((field) => problemOf(field, now.entries[field.name], () => "wrong") === null);
  return Object.fromEntries(readable.map((field) => [field.name, valueOf(field, now.entries[field.name])]));
}

// ---- groups

export type Group = "basic" | "grades" | "workflow" | "monitoring" | "private";

/** The groups of the form in order, each with its fields, the computed ones included. */
export function groupsOf(layer: Layer): [Group, Field[]][] {
  const { workflow, computed = [], fields } = layer;
  const monitored = new Set(fields.flatMap((field) => (field.stated_at ? [field.name, field.stated_at] : [])));
  const graded = new Set(computed.flatMap((one) => [one.field, one.stated, one.reason, one.computed, one.at_least ?? ""]));
  const looped = new Set(workflow ? [workflow.state, workflow.deadline, workflow.closed_on, ...workflow.transitions.flatMap((one) => [...(one.clears ?? []), one.dated ?? ""])] : []);
  const groupOf = (field: Field): Group => {
    if (graded.has(field.name)) return "grades";
    if (looped.has(field.name)) return "workflow";
    if (monitored.has(field.name)) return "monitoring";
    return field.public === false ? "private" : "basic";
  };
  const order: Group[] = ["basic", "grades", "monitoring", "workflow", "private"];
  return order.map((group): [Group, Field[]] => [group, fields.filter((field) => groupOf(field) === group)]).filter(([, found]) => found.length > 0);
}

// ---- the workflow

/** The states that the form offers: where the item stands, and where a step leads from there. */
export function statesFrom(layer: Layer, state: string | null): string[] {
  const { workflow } = layer;
  if (!workflow) return [];
  if (state === null) return [workflow.initial];
  return [state, ...workflow.transitions.filter((one) => one.from.includes(state)).map((one) => one.to)];
}

/** The step that the form would take, if any. */
export function stepOf(layer: Layer, base: Form, now: Form) {
  const { workflow } = layer;
  const [from, to] = workflow ? [base.entries[workflow.state], now.entries[workflow.state]] : [];
  return typeof from === "string" && from !== to ? workflow?.transitions.find((one) => one.from.includes(from) && one.to === to) : undefined;
}

// ---- what is wrong

export type Problems = Record<string, string>;

const text = (entry: Entry | undefined) => (typeof entry === "string" ? entry : "");

/** Dates of the loop that come before the item was found, and moments that are still to come. */
function dateProblems(layer: Layer, changed: Set<string>, now: Form, label: (name: string) => string, say: Say): Problems {
  const problems: Problems = {};
  const { workflow } = layer;
  const opened = workflow?.opened_on ? text(now.entries[workflow.opened_on]) : "";
  if (workflow && opened !== "") {
    for (const name of [workflow.deadline, workflow.closed_on]) {
      const date = text(now.entries[name]);
      const touched = changed.has(name) || changed.has(workflow.opened_on ?? "");
      if (touched && date !== "" && date < opened) problems[name] = say("date_order", { other: label(workflow.opened_on ?? ""), date: opened });
    }
  }
  const monitored = layer.fields.flatMap((field) => field.stated_at ?? []);
  for (const name of ["stated_at", ...monitored]) {
    const moment = text(now.entries[name]);
    if (changed.has(name) && moment !== "" && Date.parse(moment) > Date.now() + 60_000) problems[name] = say("in_future");
  }
  return problems;
}

/** A grade that somebody states now, other than the standard's, needs a reason: without it, it does not count. */
function gradeProblems(layer: Layer, changed: Set<string>, now: Form, say: Say): Problems {
  const row = valuesOf(layer, now);
  const missing = (layer.computed ?? []).filter((grade) => {
    const stated = row[grade.stated] ?? null;
    const touched = changed.has(grade.stated) || changed.has(grade.reason);
    const { byStandard } = gradeOf(grade, row);
    return touched && stated !== null && byStandard !== null && stated !== byStandard && (row[grade.reason] ?? null) === null;
  });
  return Object.fromEntries(missing.map(({ reason }) => [reason, say("grade_reason_needed")]));
}

/** What is wrong with the shape, or null. */
export function shapeProblem(layer: Layer, now: Form, say: Say): string | null {
  if (kindsOf(layer.geometry).length === 0) return null;
  if (now.sketch && now.sketch.positions.length > 0) return say("too_few", { n: vertexMinimum[now.sketch.kind] });
  if (!now.shape) return say("geometry_needed");
  const crossings = crossingsOf(now.shape);
  if (crossings.length > 0) return say("crosses", { n: crossings.length });
  return hasStrayHole(now.shape) ? say("hole_outside") : null;
}

export const GEOMETRY = "geometry";

/** What is wrong, by field; `geometry` for the shape. */
export function problemsOf({ layer }: Collection, base: Form, now: Form, fixedGeometry: boolean, lang: "zh" | "en", say: Say): Problems {
  const label = (name: string) => layer.fields.find((field) => field.name === name)?.label[lang] ?? name;
  const changed = new Set(changedFields(layer, base, now).map((field) => field.name));
  // What stands there from before is not this editor's to mend, but a field that must be filled in is.
  const checked = editable(layer).filter((field) => changed.has(field.name) || isUnknown(now.entries[field.name]));
  const found = checked.map((field) => [field.name, problemOf(field, now.entries[field.name], say)] as const);
  const own = Object.fromEntries(found.filter((one): one is [string, string] => one[1] !== null));
  const shape = fixedGeometry ? null : shapeProblem(layer, now, say);
  return { ...dateProblems(layer, changed, now, label, say), ...gradeProblems(layer, changed, now, say), ...own, ...(shape !== null && { [GEOMETRY]: shape }) };
}

// ---- two editors at once

export interface Difference {
  name: string;
  base: Entry;
  theirs: Entry;
  mine: Entry;
}

export interface Merge {
  /** What both changed, each in another way: to be chosen. */
  both: Difference[];
  /** What only they changed: taken over. */
  theirs: string[];
  /** Whether both changed the geometry. */
  shapes: boolean;
}

/** What two editors made of one state. */
export function mergeOf(layer: Layer, base: Form, theirs: Form, mine: Form): Merge {
  const merge: Merge = { both: [], theirs: [], shapes: false };
  for (const { name } of editable(layer)) {
    const [was, other, own] = [base.entries[name] ?? "", theirs.entries[name] ?? "", mine.entries[name] ?? ""];
    if (sameEntry(was, other) || sameEntry(other, own)) continue;
    if (sameEntry(was, own)) merge.theirs.push(name);
    else merge.both.push({ name, base: was, theirs: other, mine: own });
  }
  const moved = !sameShape(base.shape, theirs.shape) && !sameShape(theirs.shape, mine.shape);
  merge.shapes = moved && !sameShape(base.shape, mine.shape);
  if (moved && !merge.shapes) merge.theirs.push(GEOMETRY);
  return merge;
}

export type Side = "theirs" | "mine";

/** My form on top of theirs: what only they changed is theirs, what both changed is as chosen, the rest is mine. */
export function merged(layer: Layer, merge: Merge, theirs: Form, mine: Form, chosen: Record<string, Side>): Form {
  const other = new Set([...merge.theirs, ...Object.keys(chosen).filter((name) => chosen[name] === "theirs")]);
  const entries = Object.fromEntries(editable(layer).map(({ name }) => [name, (other.has(name) ? theirs : mine).entries[name] ?? ""]));
  return { entries, shape: other.has(GEOMETRY) ? theirs.shape : mine.shape, sketch: null, reason: mine.reason };
}
