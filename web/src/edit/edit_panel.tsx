import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Collection, type Feature, type Field, Problem } from "../api";
import { useApp } from "../context";
import { fidOf } from "../registry/control";
import type { Editing } from "../state";
import { valueText } from "../values";
import { Conflict } from "./conflict";
import { DeleteDialog } from "./delete_dialog";
import { Dialog } from "./dialog";
import { type Draft, dropDraft, keepDraft, keptDraft, newKey } from "./drafts";
import { isUnknown, sameEntry, without } from "./entries";
import { useEscape } from "./escape";
import { FieldInput } from "./field_input";
import { focusCard } from "./focus";
import {
  begin, changedFields, editable, featureOf, type Form, formOf, GEOMETRY, groupsOf, isDirty, patchOf, type Problems, problemsOf, redo, statesFrom, step, stepOf, undo, valuesOf,
} from "./form";
import { GeometryInput } from "./geometry_input";
import { Grade } from "./grade";
import { createItem, type FieldError, isPassing, member, patchItem, readItem, reasonOf, type Tagged } from "./requests";
import { kindsOf, sameShape, shapeOf } from "./shape";
import { created, saved } from "./written";
import { useWords } from "./words";

/** What an editor begins with. */
interface Start {
  feature: Feature | null;
  draft: Draft;
  /** Whether the draft was kept from before. */
  restored: boolean;
}

/** The left panel in place of the card: an item's form, or with no number a new one's. */
export function EditPanel({ layer, fid, values }: Editing) {
  const { act } = useApp();
  const say = useWords();
  const [start, setStart] = useState<Start | null>(null);
  const [failed, setFailed] = useState("");
  const [tries, setTries] = useState(0);
  const collection = act.collection(layer);
  useEffect(() => {
    let gone = false;
    setStart(null);
    setFailed("");
    if (!collection) return;
    const kept = keptDraft(layer, fid);
    const begun = (feature: Feature | null, etag: string | null) => {
      const base = formOf(collection.layer, feature, values);
      const draft = kept ?? { form: base, base, etag, key: newKey(), at: new Date().toISOString() };
      if (!gone) setStart({ feature, draft, restored: kept !== null });
    };
    if (fid === null) begun(null, null);
    else readItem(layer, fid).then(({ feature, etag }) => { begun(feature, etag); }, (error: unknown) => { if (!gone) setFailed(reasonOf(error)); });
    return () => { gone = true; };
  }, [layer, fid, tries]);
  if (!collection) return null;
  if (failed !== "") {
    return (
      <section class="card edit">
        <p class="problem" role="alert">{say("load_failed", { reason: failed })} <button type="button" class="link" onClick={() => { setTries(tries + 1); }}>{say("retry")}</button></p>
        <p class="actions"><button type="button" onClick={() => { act.edit(null); }}>{say("close")}</button></p>
      </section>
    );
  }
  if (!start) return <section class="card edit"><div class="skeleton" aria-label={say("editing", { layer: collection.titles[act.state.lang] })}><i /><i /><i /></div></section>;
  return <Editor key={`${layer}.${fid}`} collection={collection} fid={fid} values={values} {...start} />;
}

type Status = { kind: "idle" } | { kind: "saving" } | { kind: "waiting" | "refused"; text: string };
/** A step of the workflow that the service refused. */
interface Refusal {
  detail: string;
  missing: string[];
  clause: { zh: string; en: string } | undefined;
  roles: string[];
}

const RETRY_MS = 10_000;

function Editor({ collection, fid, values, feature, draft, restored }: Start & { collection: Collection; fid: number | null; values: Editing["values"] }) {
  const { act, state, text } = useApp();
  const say = useWords();
  const { layer, id: layerId } = collection;
  const lang = state.lang;
  const [steps, setSteps] = useState(() => begin(draft.form));
  const [base, setBase] = useState(draft.base);
  const [etag, setEtag] = useState(draft.etag);
  const [touched, setTouched] = useState<Set<string>>(new Set());
  const [attempted, setAttempted] = useState(false);
  const [refused, setRefused] = useState<Problems>({});
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [status, setStatus] = useState<Status>({ kind: "idle" });
  const [conflict, setConflict] = useState<{ current: Feature | null; etag: string | null } | null>(null);
  const [leaving, setLeaving] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [shownRestored, setShownRestored] = useState(restored);
  const heading = useRef<HTMLHeadingElement>(null);
  const panel = useRef<HTMLElement>(null);
  const done = useRef(false);

  const form = steps.now;
  const fixedGeometry = feature !== null && shapeOf(feature.geometry) === null && kindsOf(layer.geometry).length > 0;
  const dirty = isDirty(layer, base, form);
  const changed = useMemo(() => new Set(changedFields(layer, base, form).map((field) => field.name)), [base, form]);
  const problems = problemsOf(collection, base, form, fixedGeometry, lang, say);
  const count = changed.size + (sameShape(base.shape, form.shape) ? 0 : 1);
  const label = (name: string) => (name === GEOMETRY ? say("group_geometry") : (layer.fields.find((field) => field.name === name)?.label[lang] ?? name));
  const name = feature ? act.nameOf(feature, layerId) : collection.titles[lang];
  const titles = { layer: collection.titles[lang] };
  const rolesText = (roles: string[]) => roles.map((role) => text.try(`role_${role}`, role)).join(lang === "zh" ? "、" : ", ");

  const change = (part: Partial<Form>, what: string) => {
    setSteps((now) => step(now, part, what));
    setRefusal(null);
    if (what.startsWith("field.")) setRefused((now) => without(now, what.slice(6)));
    if ("shape" in part || "sketch" in part) setRefused((now) => without(now, GEOMETRY));
  };
  const undoStep = () => { setSteps(undo); };
  const redoStep = () => { setSteps(redo); };

  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    act.set({ legend: false });
  }, []);

  // The draft, kept until the service has it.
  useEffect(() => {
    if (done.current) return;
    if (dirty) keepDraft(layerId, fid, { form, base, etag, key: draft.key, at: new Date().toISOString() });
    else dropDraft(layerId, fid);
  }, [form, base, etag]);
  useEffect(() => {
    if (!dirty) return;
    const ask = (event: BeforeUnloadEvent) => { event.preventDefault(); };
    addEventListener("beforeunload", ask);
    return () => { removeEventListener("beforeunload", ask); };
  }, [dirty]);

  useEffect(() => {
    const keyed = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || document.querySelector("dialog[open]")) return;
      const letter = event.key.toLowerCase();
      const run = letter === "z" ? (event.shiftKey ? redoStep : undoStep) : letter === "y" ? redoStep : letter === "s" ? () => { void save(); } : null;
      if (!run || (event.target instanceof Element && event.target.closest(".search"))) return;
      event.preventDefault();
      run();
    };
    addEventListener("keydown", keyed);
    return () => { removeEventListener("keydown", keyed); };
  });

  const close = () => {
    done.current = true;
    act.edit(null);
    focusCard();
  };
  const leave = () => {
    if (dirty) setLeaving(true);
    else close();
  };
  useEscape(() => {
    if (conflict) setConflict(null);
    else leave();
    return true;
  });

  /** Takes the eye and the focus to the first field that is wrong. */
  const showFirst = (names: string[]) => {
    if (state.phone && state.sheet === "low") act.setSheet("full");
    const show = () => {
      const wanted = [...(panel.current?.querySelectorAll<HTMLElement>("[data-field]") ?? [])].find((one) => names.includes(one.dataset.field ?? ""));
      wanted?.closest("details")?.setAttribute("open", "");
      wanted?.scrollIntoView({ block: "center" });
      (wanted?.querySelector<HTMLElement>("input, select, textarea") ?? wanted)?.focus({ preventScroll: true });
    };
    // The sheet has its new height a frame later.
    requestAnimationFrame(() => { requestAnimationFrame(show); });
  };

  const finish = (result: Tagged) => {
    done.current = true;
    dropDraft(layerId, fid);
    const ref = { layer: layerId, fid: fidOf(result.feature) };
    act.edit(null);
    // What closes a road is seen in the new order of the answer.
    if (fid !== null || !layer.closes || !act.answered) act.select(ref, { geometry: result.feature.geometry });
    if (fid === null) created(act, say, layerId, result);
    else saved(act, say, layerId, result);
    focusCard();
  };

  /** What the service's answer means for the form. */
  const failed = async (error: unknown, mine: Form): Promise<void> => {
    if (isPassing(error)) {
      setStatus({ kind: "waiting", text: say(error instanceof Problem ? "busy" : "offline") });
    } else if (error instanceof Problem && error.status === 401) {
      setStatus({ kind: "refused", text: say("signed_out") });
    } else if (error instanceof Problem && error.status === 412) {
      setStatus({ kind: "idle" });
      const current = member<Feature | null>(error, "current") ?? null;
      const tag = member<string>(error, "etag") ?? (current && fid !== null ? (await readItem(layerId, fid)).etag : null);
      lost(current, tag, mine);
    } else {
      const errors = member<FieldError[]>(error, "errors") ?? [];
      setRefused(Object.fromEntries(errors.map(({ field, detail, expected }) => [field, expected ? `${detail} (${expected})` : detail])));
      const missing = member<string[]>(error, "missing");
      if (error instanceof Problem && error.type.endsWith("/step-refused")) setRefusal({ detail: error.message, missing: missing ?? [], clause: member(error, "clause"), roles: member<string[]>(error, "roles") ?? [] });
      const forbidden = error instanceof Problem && error.status === 403;
      const roles = member<string[]>(error, "roles");
      const who = roles ? say("step_roles", { roles: rolesText(roles) }) : reasonOf(error);
      setStatus({ kind: "refused", text: forbidden ? say("forbidden", { detail: who }) : `${say("service_refused")}: ${reasonOf(error)}` });
      showFirst([...errors.map((one) => one.field), ...(missing ?? [])]);
    }
  };

  /** Somebody else was first. What they wrote may be just what I sent: then it is saved. */
  const lost = (current: Feature | null, tag: string | null, mine: Form) => {
    if (!current) {
      setConflict({ current: null, etag: null });
      return;
    }
    const theirs = formOf(layer, current);
    const same = changedFields(layer, base, mine).every(({ name: one }) => sameEntry(theirs.entries[one], mine.entries[one])) && (sameShape(base.shape, mine.shape) || sameShape(theirs.shape, mine.shape));
    if (same && tag) finish({ feature: current, etag: tag });
    else setConflict({ current, etag: tag });
  };

  const send = async (mine: Form, from: Form, tag: string | null): Promise<void> => {
    setStatus({ kind: "saving" });
    setRefusal(null);
    try {
      const result = fid === null
        ? await createItem(layerId, featureOf(layer, mine), draft.key)
        : await patchItem(layerId, fid, patchOf(layer, from, mine), tag);
      finish(result);
    } catch (error) {
      await failed(error, mine).catch((worse: unknown) => { setStatus({ kind: "refused", text: reasonOf(worse) }); });
    }
  };

  const save = async (): Promise<void> => {
    if (status.kind === "saving") return;
    setAttempted(true);
    const wrong = Object.keys(problems);
    if (wrong.length > 0) {
      act.set({ said: say("problems", { n: wrong.length }) });
      showFirst(wrong);
      return;
    }
    if (fid !== null && !dirty) close();
    else await send(form, base, etag);
  };

  // A save that did not reach the service is tried again.
  useEffect(() => {
    if (status.kind !== "waiting") return;
    const again = () => { void send(form, base, etag); };
    const timer = window.setInterval(again, RETRY_MS);
    addEventListener("online", again);
    return () => {
      clearInterval(timer);
      removeEventListener("online", again);
    };
  });

  const taken = stepOf(layer, base, form);
  const lacking = taken ? taken.needs.filter((one) => isUnknown(form.entries[one])) : [];
  const asked = [...new Set([...lacking, ...(refusal?.missing ?? [])])];
  // That a field must be filled in is said once somebody has been there.
  const wrongOf = (field: string) => refused[field] ?? (attempted || touched.has(field) || changed.has(field) || problems[field] !== say("required") ? problems[field] : undefined);
  const geometryWrong = refused[GEOMETRY] ?? (attempted || (form.shape && !sameShape(base.shape, form.shape)) ? problems[GEOMETRY] : undefined);
  const states = layer.workflow ? statesFrom(layer, typeof base.entries[layer.workflow.state] === "string" && feature ? String(base.entries[layer.workflow.state]) || null : null) : null;

  const input = (field: Field) => (
    <FieldInput
      key={field.name} field={field} entry={form.entries[field.name] ?? ""} wrong={wrongOf(field.name)} changed={changed.has(field.name) && fid !== null}
      hint={asked.includes(field.name) ? say("needed_for_step", { step: taken?.label[lang] ?? "" }) : undefined}
      only={field.name === layer.workflow?.state ? states : null}
      onChange={(entry) => { change({ entries: { ...form.entries, [field.name]: entry } }, `field.${field.name}`); }}
      onBlur={() => { setTouched((now) => (now.has(field.name) ? now : new Set([...now, field.name]))); }}
    />
  );
  const readOnly = (field: Field) => {
    const value = feature ? valueText(field, feature.properties[field.name], text) : null;
    return (
      <div class="field read-only" key={field.name}>
        <div class="field-label"><span>{field.label[lang]}</span><span class="mark">{say("computed")}</span></div>
        <p class={value === null ? "muted" : ""}>{value ?? say("unknown")}</p>
      </div>
    );
  };
  const preview = valuesOf(layer, form);
  const graded = new Set((layer.computed ?? []).flatMap((one) => [one.field, one.stated, one.reason, one.computed, one.at_least]));

  if (conflict) {
    return (
      <Conflict
        collection={collection} fid={fid ?? 0} base={base} mine={form} current={conflict.current}
        onBack={() => { setConflict(null); }}
        onDrop={() => {
          dropDraft(layerId, fid);
          close();
          act.itemChanged({ layer: layerId, fid: fid ?? 0 });
        }}
        onRestored={({ feature: back, etag: tag }) => { setConflict({ current: back, etag: tag }); }}
        onChosen={(chosen, theirs) => {
          setConflict(null);
          setBase(theirs);
          setEtag(conflict.etag);
          setSteps(begin(chosen));
          if (isDirty(layer, theirs, chosen)) void send(chosen, theirs, conflict.etag);
          else if (conflict.current && conflict.etag) finish({ feature: conflict.current, etag: conflict.etag });
        }}
      />
    );
  }

  return (
    <section class="card edit" ref={panel} aria-label={say("form_label", titles)}>
      <header class="card-head">
        <button type="button" class="icon-button" aria-label={say("back")} onClick={leave}>←</button>
        <div>
          <h2 ref={heading} tabIndex={-1}>{feature ? name : say("adding", titles)}</h2>
          {feature && <p class="muted">{say("editing", titles)}</p>}
        </div>
        <button type="button" class="icon-button" aria-label={say("undo")} title={`${say("undo")} (Ctrl+Z)`} disabled={steps.past.length === 0} onClick={undoStep}>↶</button>
        <button type="button" class="icon-button" aria-label={say("redo")} title={`${say("redo")} (Ctrl+Shift+Z)`} disabled={steps.future.length === 0} onClick={redoStep}>↷</button>
      </header>
      <form
        class="card-body" noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {shownRestored && (
          <p class="restored" role="status">
            {say("draft_restored", { time: text.time(draft.at) })}{" "}
            <button
              type="button" class="link"
              onClick={() => {
                dropDraft(layerId, fid);
                setShownRestored(false);
                setSteps(begin(formOf(layer, feature, values)));
                setBase(formOf(layer, feature, values));
                if (fid !== null) void readItem(layerId, fid).then((now) => { setEtag(now.etag); });
              }}
            >{say("draft_discard")}</button>
          </p>
        )}
        {kindsOf(layer.geometry).length > 0 && (
          <fieldset class="group">
            <legend>{say("group_geometry")}</legend>
            <GeometryInput layer={layer} form={form} base={base.shape} fixed={fixedGeometry} wrong={geometryWrong} change={change} undo={undoStep} />
          </fieldset>
        )}
        {groupsOf(layer).map(([group, fields]) => (
          <details key={group} class="group" open={group !== "private" && group !== "workflow" ? true : feature !== null || fields.some((field) => field.required)}>
            <summary>{say(`group_${group}`)} <span class="muted">{fields.filter((field) => changed.has(field.name)).length > 0 && fid !== null ? say("changed_count", { n: fields.filter((field) => changed.has(field.name)).length }) : ""}</span></summary>
            {group === "grades" && (layer.computed ?? []).map((one) => (
              <Grade key={one.field} layer={layer} grade={one} row={preview}>
                {editable(layer).filter((field) => field.name === one.stated || field.name === one.reason).map(input)}
              </Grade>
            ))}
            {fields.filter((field) => !graded.has(field.name)).map((field) => (field.computed ? readOnly(field) : input(field)))}
          </details>
        ))}
        <div class="field">
          <div class="field-label"><label for="change-reason">{say("reason")}</label></div>
          <input id="change-reason" type="text" autocomplete="off" maxLength={500} placeholder={say("reason_hint")} value={form.reason} onInput={(event) => { change({ reason: event.currentTarget.value }, "reason"); }} />
        </div>
        {feature && <p class="actions"><button type="button" class="danger" onClick={() => { setDeleting(true); }}>{say("delete")}</button></p>}
      </form>
      <footer class="panel-foot edit-foot">
        {refusal && (
          <div class="warning" role="alert">
            <strong>{say("step_refused", { step: taken?.label[lang] ?? refusal.detail })}</strong>
            {refusal.missing.length > 0 && <p>{say("step_lacks", { names: refusal.missing.map(label).join(lang === "zh" ? "、" : ", ") })}</p>}
            {refusal.clause && <p>{say("step_clause", { clause: refusal.clause[lang] })}</p>}
            {refusal.roles.length > 0 && <p>{say("step_roles", { roles: rolesText(refusal.roles) })}</p>}
          </div>
        )}
        {(status.kind === "waiting" || (status.kind === "refused" && !refusal)) && (
          <p class={status.kind === "waiting" ? "restored waiting" : "warning"} role="alert">
            {status.text}{" "}
            {status.kind === "waiting" && <button type="button" class="link" onClick={() => { void send(form, base, etag); }}>{say("retry")}</button>}
          </p>
        )}
        {attempted && Object.keys(problems).length > 0 && <p class="wrong" role="alert">{say("problems", { n: Object.keys(problems).length })}</p>}
        <p class="actions">
          <button type="button" class="primary" disabled={status.kind === "saving" || (fid !== null && !dirty)} onClick={() => { void save(); }}>{status.kind === "saving" ? say("saving") : say("save")}</button>
          <button type="button" onClick={leave}>{say("cancel")}</button>
          <span class="muted count">{fid === null ? "" : dirty ? say("changed_count", { n: count }) : say("unchanged")}</span>
        </p>
      </footer>
      {leaving && (
        <Dialog title={say("leave_title")} onClose={() => { setLeaving(false); }}>
          <p>{say("leave_text")}</p>
          <p class="actions">
            <button type="button" class="primary" autofocus onClick={() => { setLeaving(false); }}>{say("leave_stay")}</button>
            <button type="button" onClick={close}>{say("leave_keep")}</button>
            <button type="button" class="danger" onClick={() => { done.current = true; dropDraft(layerId, fid); close(); }}>{say("leave_discard")}</button>
          </p>
        </Dialog>
      )}
      {deleting && fid !== null && (
        <DeleteDialog
          layer={layerId} fid={fid} name={name} etag={etag}
          onClose={() => { setDeleting(false); }}
          onDeleted={() => {
            done.current = true;
            dropDraft(layerId, fid);
            act.edit(null);
          }}
        />
      )}
    </section>
  );
}
