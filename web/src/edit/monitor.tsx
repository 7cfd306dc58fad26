import { useEffect, useRef, useState } from "preact/hooks";
import type { Feature, Field, Layer } from "../api";
import { useApp } from "../context";
import { secondsSince } from "../values";
import { type Entry, entryOf, problemOf, valueOf } from "./entries";
import { useEscape } from "./escape";
import { FieldInput } from "./field_input";
import { patchItem, reasonOf } from "./requests";
import { saved } from "./written";
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
      saved(act, say, layer, result);
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

/** How old a monitoring value is, and whether that is too old. */
export function ageOfValue(layer: Layer, field: Field, feature: Feature): { seconds: number | null; stale: boolean } | null {
  if (!field.stated_at || !layer.fields.some((one) => one.name === field.stated_at)) return null;
  const seconds = secondsSince(feature.properties[field.stated_at]);
  return { seconds, stale: seconds === null || (typeof field.stale_after_h === "number" && seconds > field.stale_after_h * 3600) };
}
