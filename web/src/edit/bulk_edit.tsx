import { useState } from "preact/hooks";
import { type Feature, type Field, Problem, type Properties } from "../api";
import { useApp } from "../context";
import { Dialog } from "./dialog";
import { type Entries, isUnknown, problemOf, valueOf, without } from "./entries";
import { FieldInput } from "./field_input";
import { editable } from "./form";
import { type BatchItem, type FieldError, member, patchItems, readItem, reasonOf, type Tagged } from "./requests";
import { useWords } from "./words";
import { setMany } from "./written";

interface Props {
  layer: string;
  fids: number[];
  onDone: () => void;
}

interface Lost {
  fid: number;
  current: Feature | null;
}

const AT_ONCE = 6;

/** Items with their tags, a few at a time; items that are gone are left out. */
async function read(layer: string, fids: number[]): Promise<(Tagged & { fid: number })[]> {
  const found: (Tagged & { fid: number })[] = [];
  for (let start = 0; start < fids.length; start += AT_ONCE) {
    const part = await Promise.all(fids.slice(start, start + AT_ONCE).map(async (fid) => {
      try {
        return { fid, ...(await readItem(layer, fid)) };
      } catch (error) {
        if (error instanceof Problem && error.status === 404) return null;
        throw error;
      }
    }));
    found.push(...part.filter((one) => one !== null));
  }
  return found;
}

/** Sets chosen fields on many items at once: on all of them, or on none. */
export function BulkEdit({ layer, fids, onDone }: Props) {
  const { act, state } = useApp();
  const say = useWords();
  const [entries, setEntries] = useState<Entries>({});
  const [reason, setReason] = useState("");
  const [wrong, setWrong] = useState("");
  const [refused, setRefused] = useState<Record<string, string>>({});
  const [lost, setLost] = useState<Lost[] | null>(null);
  const [busy, setBusy] = useState(false);
  const collection = act.collection(layer);
  if (!collection) return null;
  const fields = editable(collection.layer);
  const chosen = fields.filter((field) => field.name in entries);
  const problems = Object.fromEntries(chosen.flatMap((field) => {
    const problem = problemOf(field, entries[field.name], say);
    return problem === null ? [] : [[field.name, problem] as const];
  }));
  const nameOf = (fid: number, feature: Feature | null) => (feature ? act.nameOf(feature, layer) : `${collection.titles[state.lang]} ${fid}`);

  const save = async (wanted: number[]) => {
    if (busy) return;
    if (chosen.length === 0) {
      setWrong(say("bulk_nothing"));
      return;
    }
    if (Object.keys(problems).length > 0) return;
    setBusy(true);
    setWrong("");
    setRefused({});
    setLost(null);
    try {
      const properties: Properties = Object.fromEntries(chosen.map((field) => [field.name, valueOf(field, entries[field.name])]));
      const before = await read(layer, wanted);
      const items: BatchItem[] = before.map(({ fid, etag }) => ({ fid, if_match: etag, properties }));
      const { items: written } = await patchItems(layer, items, reason.trim());
      const gone = wanted.length - items.length;
      const was = new Map(before.map(({ fid, feature }) => [fid, Object.fromEntries(chosen.map(({ name }) => [name, feature.properties[name] ?? null]))]));
      const back = written.map(({ fid, etag }): BatchItem => ({ fid, if_match: etag, properties: was.get(fid) ?? {} }));
      setMany(act, say, layer, back, say("bulk_saved", { n: written.length }) + (gone > 0 ? ` · ${say("bulk_gone", { n: gone })}` : ""));
      onDone();
    } catch (error) {
      setBusy(false);
      const conflicts = member<Lost[]>(error, "conflicts");
      if (conflicts) {
        setLost(conflicts);
        return;
      }
      const errors = member<FieldError[]>(error, "errors") ?? [];
      setRefused(Object.fromEntries(errors.map(({ field, detail }) => [field, detail])));
      const fid = member<number>(error, "fid");
      setWrong(fid === undefined ? reasonOf(error) : say("bulk_refused", { name: nameOf(fid, null), reason: reasonOf(error) }));
    }
  };
  const others = fids.filter((fid) => !lost?.some((one) => one.fid === fid));

  return (
    <Dialog title={say("bulk_title", { n: fids.length })} onClose={onDone}>
      <form
        class="bulk" noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void save(fids);
        }}
      >
        <p class="muted">{say("bulk_text")}</p>
        {chosen.map((field: Field) => (
          <div class="bulk-field" key={field.name}>
            <FieldInput
              field={field} entry={entries[field.name] ?? ""} scope="bulk" wrong={problems[field.name] ?? refused[field.name]}
              hint={isUnknown(entries[field.name]) && !field.required ? say("bulk_set_unknown") : undefined}
              onChange={(entry) => { setEntries({ ...entries, [field.name]: entry }); }}
            />
            <button type="button" class="icon-button" aria-label={`${say("bulk_remove")}: ${field.label[state.lang]}`} title={say("bulk_remove")} onClick={() => { setEntries(without(entries, field.name)); }}>✕</button>
          </div>
        ))}
        <select
          aria-label={say("bulk_field")} value=""
          onChange={(event) => {
            const name = event.currentTarget.value;
            if (name !== "") setEntries({ ...entries, [name]: fields.find((field) => field.name === name)?.type === "codes" ? [] : "" });
            event.currentTarget.value = "";
            requestAnimationFrame(() => document.getElementById(`bulk-${name}`)?.focus());
          }}
        >
          <option value="">{say("bulk_field")}</option>
          {fields.filter((field) => !(field.name in entries)).map((field) => <option key={field.name} value={field.name}>{field.label[state.lang]}</option>)}
        </select>
        <div class="field">
          <div class="field-label"><label for="bulk-reason">{say("reason")}</label></div>
          <input id="bulk-reason" type="text" autocomplete="off" maxLength={500} placeholder={say("reason_hint")} value={reason} onInput={(event) => { setReason(event.currentTarget.value); }} />
        </div>
        {wrong !== "" && <p class="warning" role="alert">{wrong}</p>}
        {lost && (
          <div class="warning" role="alert">
            <p>{say("bulk_conflicts", { n: lost.length })}</p>
            <ul>{lost.slice(0, 10).map(({ fid, current }) => <li key={fid}>{nameOf(fid, current)}</li>)}</ul>
            <p class="actions">
              <button type="button" onClick={() => { void save(fids); }}>{say("bulk_again")}</button>
              {others.length > 0 && <button type="button" onClick={() => { void save(others); }}>{say("bulk_skip", { n: others.length })}</button>}
            </p>
          </div>
        )}
        <p class="actions">
          <button type="submit" class="primary" disabled={busy || Object.keys(problems).length > 0}>{busy ? say("saving") : say("bulk_save", { n: fids.length })}</button>
          <button type="button" onClick={onDone}>{say("cancel")}</button>
        </p>
      </form>
    </Dialog>
  );
}
