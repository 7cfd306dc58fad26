import { useEffect, useRef, useState } from "preact/hooks";
import { type Certainty, type Collection, type ComputedGrade, type Feature, type Field, Problem, type Right, type Transition, type Words } from "../api";
import { useApp } from "../context";
import { Conflict } from "../edit/conflict";
import { Dialog } from "../edit/dialog";
import { isUnknown, problemOf } from "../edit/entries";
import { FieldInput } from "../edit/field_input";
import { type Form, formOf, patchOf, valuesOf } from "../edit/form";
import { Grade } from "../edit/grade";
import { type FieldError, member, patchItem, readItem, reasonOf, type Tagged } from "../edit/requests";
import { saved } from "../edit/written";
import { useWords } from "../edit/words";

/** The steps that lead on from a state, those forward first; a row without a state begins the loop. */
export function stepsFrom(collection: Collection, state: unknown): Transition[] {
  const { workflow, fields } = collection.layer;
  if (!workflow) return [];
  const codes = fields.find((field) => field.name === workflow.state)?.codes ?? [];
  const place = (code: string) => codes.findIndex((one) => one.code === code);
  if (typeof state === "string") {
    const back = (one: Transition) => Number(place(one.to) < place(state));
    return workflow.transitions.filter((one) => one.from.includes(state)).toSorted((one, other) => back(one) - back(other));
  }
  const initial = codes.find((one) => one.code === workflow.initial);
  return [{ from: [], to: workflow.initial, right: "edit", needs: [], label: initial?.label ?? { zh: workflow.initial, en: workflow.initial } }];
}

/** A clause, and how sure it is that it says so. */
export function Clause({ clause, certainty }: { clause: Words | null | undefined; certainty: Certainty | null | undefined }) {
  const { state, text } = useApp();
  if (!clause) return null;
  return <p class="clause"><span class="muted">{text.t("clause")}</span> {clause[state.lang]} {certainty && <span class={`chip certainty ${certainty}`}>{text.t(`certainty_${certainty}`)}</span>}</p>;
}

/** What is not for everybody. */
export const Lock = () => <svg class="lock-picture" viewBox="0 0 12 12" aria-hidden="true"><path d="M3.5 5.5V3.8a2.5 2.5 0 0 1 5 0v1.7M2.5 5.5h7v5h-7z" /></svg>;

interface Refusal {
  words: string;
  missing: string[];
  clause: Words | null;
  certainty: Certainty | null;
  errors: Record<string, string>;
}

const dateFields = (collection: Collection, step: Transition): string[] => {
  const { workflow } = collection.layer;
  return [step.dated, workflow?.closed.includes(step.to) ? workflow.closed_on : null].filter((name) => typeof name === "string");
};

/** What a step asks for, as parts of its form: fields, or a grade with what it is computed from. */
function partsOf(collection: Collection, step: Transition, missing: string[]): (Field | ComputedGrade)[] {
  const { layer } = collection;
  const names = [...new Set([...step.needs, ...missing, ...dateFields(collection, step)])];
  return names.flatMap((name) => layer.computed?.find((one) => one.field === name) ?? layer.fields.find((field) => field.name === name && !field.computed) ?? []);
}

interface StepFormProps {
  collection: Collection;
  fid: number;
  item: Tagged;
  onClose: () => void;
}

function StepForm({ collection, fid, item, onClose }: StepFormProps) {
  const { act, state, text } = useApp();
  const say = useWords();
  const { layer, id: layerId } = collection;
  const { lang } = state;
  const workflow = layer.workflow;
  const [{ feature, etag }, setItem] = useState(item);
  const base = formOf(layer, feature);
  const [form, setForm] = useState<Form>(base);
  const now = workflow ? feature.properties[workflow.state] : null;
  const steps = stepsFrom(collection, now);
  const mine = (step: Transition) => act.session.may(step.right as Right);
  const [to, setTo] = useState<string | null>((steps.find(mine) ?? steps[0])?.to ?? null);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [conflict, setConflict] = useState<{ mine: Form; current: Feature | null } | null>(null);
  const [busy, setBusy] = useState(false);
  const body = useRef<HTMLFormElement>(null);
  const step = steps.find((one) => one.to === to) ?? null;
  const join = lang === "zh" ? "、" : ", ";
  const label = (name: string) => layer.fields.find((field) => field.name === name)?.label[lang] ?? name;
  useEffect(() => { body.current?.querySelector<HTMLElement>(".field input, .field select, .field textarea")?.focus(); }, [to]);

  if (!workflow || !step) return <p class="muted">{text.t("step_none")}</p>;
  const stateLabel = (code: unknown) => (typeof code === "string" ? text.label(layer.fields.find((field) => field.name === workflow.state)?.codes, code) : text.t("unknown"));
  const parts = partsOf(collection, step, refusal?.missing ?? []);
  const problems = Object.fromEntries(layer.fields.flatMap((field) => {
    const entry = form.entries[field.name];
    const problem = field.computed || isUnknown(entry) ? null : problemOf(field, entry, say);
    return problem === null ? [] : [[field.name, problem] as const];
  }));

  const refused = (error: unknown, sent: Form): void => {
    if (error instanceof Problem && error.status === 412) {
      setConflict({ mine: sent, current: member<Feature | null>(error, "current") ?? null });
      return;
    }
    const errors = Object.fromEntries((member<FieldError[]>(error, "errors") ?? []).map(({ field, detail, expected }) => [field, expected ? `${detail} (${expected})` : detail]));
    const missing = member<string[]>(error, "missing") ?? [];
    const roles = member<string[]>(error, "roles") ?? [];
    const lacking = missing.filter((name) => sent.entries[name] === undefined || isUnknown(sent.entries[name]) || sent.entries[name] === "false");
    const words = roles.length > 0
      ? text.t("step_roles", { roles: roles.map((role) => text.try(`role_${role}`, role)).join(join) })
      : missing.length > 0 && lacking.length > 0 ? text.t("step_lacks", { names: missing.map(label).join(join) }) : reasonOf(error);
    setRefusal({ words, missing, errors, clause: member<Words>(error, "clause") ?? null, certainty: member<Certainty>(error, "certainty") ?? null });
    requestAnimationFrame(() => {
      const first = [...missing, ...Object.keys(errors)][0];
      const at = first ? body.current?.querySelector<HTMLElement>(`[data-field="${first}"]`) : null;
      (at?.querySelector<HTMLElement>("input, select, textarea") ?? body.current?.querySelector<HTMLElement>(".refusal"))?.focus();
    });
  };

  const send = async (sent: Form, from: Form, tag: string): Promise<void> => {
    setBusy(true);
    setRefusal(null);
    try {
      const written = await patchItem(layerId, fid, patchOf(layer, from, sent), tag);
      const name = act.nameOf(written.feature, layerId);
      saved(act, say, layerId, written, text.t("step_done", { name, state: stateLabel(written.feature.properties[workflow.state]) }));
      onClose();
    } catch (error) {
      setBusy(false);
      refused(error, sent);
    }
  };

  if (conflict) {
    const drop = () => {
      act.itemChanged({ layer: layerId, fid });
      onClose();
    };
    return (
      <Conflict
        collection={collection} fid={fid} base={base} mine={conflict.mine} current={conflict.current}
        onBack={() => {
          setConflict(null);
          if (conflict.current) readItem(layerId, fid).then(setItem, drop);
        }}
        onDrop={drop}
        onRestored={drop}
        onChosen={(chosen, theirs) => {
          setConflict(null);
          readItem(layerId, fid).then((latest) => {
            setItem(latest);
            setForm(chosen);
            return send(chosen, theirs, latest.etag);
          }).catch((error: unknown) => { refused(error, chosen); });
        }}
      />
    );
  }

  const put = (name: string, entry: Form["entries"][string]) => {
    setForm({ ...form, entries: { ...form.entries, [name]: entry } });
    if (refusal) setRefusal({ ...refusal, missing: refusal.missing.filter((one) => one !== name), errors: Object.fromEntries(Object.entries(refusal.errors).filter(([one]) => one !== name)) });
  };
  const input = (field: Field) => {
    const dated = dateFields(collection, step).includes(field.name);
    const lacks = refusal?.missing.includes(field.name) ? text.t("step_needs_this", { step: step.label[lang] }) : undefined;
    return (
      <FieldInput
        key={field.name} field={field} scope="step" entry={form.entries[field.name] ?? ""} wrong={refusal?.errors[field.name] ?? problems[field.name] ?? lacks}
        hint={dated && isUnknown(form.entries[field.name]) ? text.t("step_dated_today") : undefined}
        onChange={(entry) => { put(field.name, entry); }}
      />
    );
  };
  const gradeInputs = (grade: ComputedGrade) =>
    [...grade.measures, grade.stated, grade.reason].flatMap((name) => {
      const field = layer.fields.find((one) => one.name === name);
      return field ? [input(field)] : [];
    });
  const clears = (step.clears ?? []).filter((name) => !isUnknown(base.entries[name]) && form.entries[name] === base.entries[name]);

  return (
    <form
      ref={body} class="step" noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy && mine(step) && Object.keys(problems).length === 0) void send({ ...form, entries: { ...form.entries, [workflow.state]: step.to } }, base, etag);
      }}
    >
      <p class="step-way"><span class="chip">{stateLabel(now)}</span> <span aria-hidden="true">→</span> <span class="chip to">{stateLabel(step.to)}</span></p>
      {steps.length > 1 && (
        <fieldset class="step-choices">
          <legend class="away">{text.t("next_step")}</legend>
          {steps.map((one) => (
            <label key={one.to} class={one.to === to ? "on" : ""}>
              <input type="radio" name="step-to" checked={one.to === to} onChange={() => { setTo(one.to); setRefusal(null); }} /><span>{one.label[lang]}</span>
            </label>
          ))}
        </fieldset>
      )}
      <Clause clause={step.clause} certainty={step.certainty} />
      {!mine(step) && <p class="locked"><Lock /> {text.t("step_locked", { who: text.try(`right_${step.right}`, step.right) })}</p>}
      {mine(step) && parts.map((part) => ("standard" in part ? <Grade key={part.field} layer={layer} grade={part} row={{ ...feature.properties, ...valuesOf(layer, form) }}>{gradeInputs(part)}</Grade> : input(part)))}
      {mine(step) && parts.length === 0 && <p class="muted">{text.t("step_needs_nothing")}</p>}
      {mine(step) && clears.length > 0 && <p class="muted">{text.t("step_clears", { names: clears.map(label).join(join) })}</p>}
      {mine(step) && <div class="field">
        <div class="field-label"><label for="step-reason">{say("reason")}</label></div>
        <input id="step-reason" type="text" autocomplete="off" maxLength={500} placeholder={say("reason_hint")} value={form.reason} onInput={(event) => { setForm({ ...form, reason: event.currentTarget.value }); }} />
      </div>}
      {refusal && (
        <div class="warning refusal" role="alert" tabIndex={-1}>
          <strong>{text.t("step_refused", { step: step.label[lang] })}</strong>
          <p>{refusal.words}</p>
          <Clause clause={refusal.clause} certainty={refusal.certainty} />
        </div>
      )}
      <p class="actions">
        <button type="submit" class="primary" disabled={busy || !mine(step) || Object.keys(problems).length > 0}>{busy ? say("saving") : step.label[lang]}</button>
        <button type="button" onClick={onClose}>{text.t("cancel")}</button>
      </p>
    </form>
  );
}

/** The next step of an item: what it needs, by which clause, and what the service says to it. */
export function StepDialog({ layer, fid, onClose }: { layer: string; fid: number; onClose: () => void }) {
  const { act, text } = useApp();
  const [item, setItem] = useState<Tagged | null>(null);
  const [failed, setFailed] = useState("");
  const collection = act.collection(layer);
  useEffect(() => {
    readItem(layer, fid).then(setItem, (error: unknown) => { setFailed(reasonOf(error)); });
  }, [layer, fid]);
  if (!collection) return null;
  return (
    <Dialog title={item ? act.nameOf(item.feature, layer) : text.t("next_step")} onClose={onClose}>
      {failed !== "" && <p class="problem" role="alert">{text.t("failed")}: {failed}</p>}
      {!item && failed === "" && <div class="skeleton" aria-label={text.t("loading")}><i /><i /></div>}
      {item && <StepForm collection={collection} fid={fid} item={item} onClose={onClose} />}
    </Dialog>
  );
}
