import { useEffect, useRef, useState } from "preact/hooks";
import type { Feature, Field } from "../api";
import { useApp } from "../context";
import { type Entry, entryOf, problemOf, valueOf } from "./entries";
import { useEscape } from "./escape";
import { FieldInput } from "./field_input";
import { patchItem, reasonOf } from "./requests";
import { stated } from "./written";
import { useWords } from "./words";

interface Props {
  layer: string;
  fid: number;
  field: Field;
  feature: Feature;
  onClose: () => void;
}

/** One monitoring number in place: a value, stated now. */
export function MonitorForm({ layer, fid, field, feature, onClose }: Props) {
  const { act } = useApp();
  const say = useWords();
  const [entry, setEntry] = useState<Entry>(() => entryOf(field, feature.properties[field.name]));
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    const input = form.current?.querySelector<HTMLInputElement>("input, select");
    input?.focus();
    if (input instanceof HTMLInputElement && input.type === "text") input.select();
  }, []);
  useEscape(() => {
    onClose();
    return true;
  });
  const problem = problemOf(field, entry, say);
  const save = async () => {
    if (problem !== null || busy) return;
    setBusy(true);
    setWrong("");
    try {
      // The number counts from now, also when it is the same as before. No tag is needed: the last one to state it is right.
      const properties = { [field.name]: valueOf(field, entry), ...(field.stated_at && { [field.stated_at]: new Date().toISOString() }) };
      const result = await patchItem(layer, fid, { properties }, null);
      onClose();
      const names = Object.keys(properties);
      stated(act, say, layer, result, Object.fromEntries(names.map((name) => [name, feature.properties[name] ?? null])));
    } catch (error) {
      setWrong(reasonOf(error));
      setBusy(false);
    }
  };
  return (
    <form
      class="monitor-form" ref={form} noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <FieldInput field={field} entry={entry} scope="monitor" wrong={problem ?? (wrong === "" ? undefined : wrong)} onChange={setEntry} />
      <p class="actions">
        <button type="submit" class="primary" disabled={busy}>{say("monitor_save")}</button>
        <button type="button" onClick={onClose}>{say("cancel")}</button>
      </p>
    </form>
  );
}
