import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, type Value } from "../api";
import { useApp } from "../context";
import { type Geometry, positions } from "../geometry";
import { valueText } from "../values";
import { Dialog } from "./dialog";
import { useEscape } from "./escape";
import { notify } from "./notice";
import { type ItemChange, readHistory, readItem, reasonOf, restoreItem } from "./requests";
import { metresBetween, metresText } from "./shape";
import { type EditKey, useWords } from "./words";

interface Props {
  layer: string;
  fid: number;
  name: string;
  onClose: () => void;
}

const OPERATIONS: Record<ItemChange["operation"], EditKey> = { insert: "op_insert", update: "op_update", delete: "op_delete" };
/** Properties that the store itself writes. */
const OWN = ["recorded_at", "flags", "unread"];
const FIELDS_SHOWN = 6;

/** Every change of an item: who, when, what from and to; any state can be restored. */
export function HistoryPanel({ layer, fid, name, onClose }: Props) {
  const { act, text } = useApp();
  const say = useWords();
  const heading = useRef<HTMLHeadingElement>(null);
  const [changes, setChanges] = useState<ItemChange[] | null>(null);
  const [failed, setFailed] = useState("");
  const [drawn, setDrawn] = useState<number | null>(null);
  const [asked, setAsked] = useState<ItemChange | null>(null);
  const [reason, setReason] = useState("");
  const collection = act.collection(layer);
  const mayRestore = act.can(layer).edit;
  const hidden = [...OWN, ...(collection?.layer.computed ?? []).flatMap((grade) => [grade.computed, grade.at_least])];

  const load = () => {
    setFailed("");
    readHistory(layer, fid).then(setChanges, (error: unknown) => { setFailed(reasonOf(error)); });
  };
  useEffect(load, [layer, fid]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    return () => { act.view?.drawEditing([]); };
  }, []);
  useEscape(() => {
    onClose();
    return true;
  });

  const show = (index: number, { geometry }: ItemChange) => {
    const parts = ([[geometry?.old, "old"], [geometry?.new, "shape"]] as const).flatMap(([one, kind]) => (one ? [{ type: "Feature" as const, geometry: one, properties: { kind } }] : []));
    act.view?.drawEditing(parts);
    act.view?.fit(parts.flatMap((one) => positions(one.geometry)), {});
    setDrawn(index);
  };

  const restore = async () => {
    if (!asked?.version) return;
    try {
      const there = changes?.[0]?.operation !== "delete";
      const etag = there ? (await readItem(layer, fid)).etag : null;
      await restoreItem(layer, fid, asked.version, etag, reason.trim());
      setAsked(null);
      setReason("");
      act.itemChanged({ layer, fid });
      notify(act, say("restored"));
      load();
    } catch (error) {
      setAsked(null);
      if (error instanceof Problem && error.status === 412) {
        notify(act, say("restore_lost"));
        load();
      } else setFailed(reasonOf(error));
    }
  };

  return (
    <section class="card history" aria-label={say("history_of", { name })}>
      <header class="card-head">
        <button type="button" class="icon-button" aria-label={say("back")} onClick={onClose}>←</button>
        <div><h2 ref={heading} tabIndex={-1}>{say("history")}</h2><p class="muted">{name}</p></div>
      </header>
      <div class="card-body">
        {failed !== "" && <p class="warning" role="alert">{failed} <button type="button" class="link" onClick={load}>{say("retry")}</button></p>}
        {!changes && failed === "" && <div class="skeleton"><i /><i /><i /></div>}
        {changes?.length === 0 && <p class="muted">{say("history_none")}</p>}
        <ol class="changes">
          {changes?.map((one, index) => (
            <li key={`${one.version}-${index}`}>
              <p class="change-head">
                <strong>{say(OPERATIONS[one.operation])}</strong>
                {one.recorded_at && <time dateTime={one.recorded_at}>{text.time(one.recorded_at)}</time>}
                {one.author && <span>{one.author}</span>}
                {index === 0 && one.operation !== "delete" && <span class="chip">{say("current")}</span>}
              </p>
              {one.reason && <p class="reason-given">{one.reason}</p>}
              <Changed change={one} hidden={hidden} label={(field) => collection?.layer.fields.find((found) => found.name === field)?.label[text.lang] ?? text.try(field, field)} value={(field, value) => {
                const found = collection?.layer.fields.find((candidate) => candidate.name === field);
                return (found ? valueText(found, value, text) : value === null || value === undefined ? null : String(value)) ?? say("unknown");
              }} />
              {one.geometry && one.operation === "update" && <p class="muted">{geometryText(one.geometry)}</p>}
              <p class="actions">
                {one.geometry && <button type="button" class="link" aria-pressed={drawn === index} onClick={() => { show(index, one); }}>{say(drawn === index ? "shown_on_map" : "show_on_map")}</button>}
                {mayRestore && index > 0 && one.operation !== "delete" && one.version !== null && <button type="button" class="link" onClick={() => { setAsked(one); }}>{say("restore")}</button>}
              </p>
              {drawn === index && one.geometry?.old && one.geometry.new && <p class="muted">{say("legend_old")}</p>}
            </li>
          ))}
        </ol>
      </div>
      {asked && (
        <Dialog title={say("restore_title", { time: asked.recorded_at ? text.time(asked.recorded_at) : "" })} onClose={() => { setAsked(null); }}>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void restore();
            }}
          >
            <p>{say("restore_text")}</p>
            <div class="field">
              <div class="field-label"><label for="restore-reason">{say("reason")}</label></div>
              <input id="restore-reason" type="text" autofocus autocomplete="off" maxLength={500} placeholder={say("reason_hint")} value={reason} onInput={(event) => { setReason(event.currentTarget.value); }} />
            </div>
            <p class="actions">
              <button type="submit" class="primary">{say("restore")}</button>
              <button type="button" onClick={() => { setAsked(null); }}>{say("cancel")}</button>
            </p>
          </form>
        </Dialog>
      )}
    </section>
  );

  function geometryText({ old, new: now }: NonNullable<ItemChange["geometry"]>): string {
    if (!old) return say("geometry_set");
    if (!now) return say("geometry_taken");
    if (old.type === "Point" && now.type === "Point") return say("geometry_moved", { d: metresText(metresBetween(old.coordinates, now.coordinates)) });
    const count = (geometry: Geometry) => say("vertices", { n: positions(geometry).length });
    return say("geometry_changed", { old: count(old), new: count(now) });
  }
}

interface ChangedProps {
  change: ItemChange;
  /** Fields that follow from others. */
  hidden: (string | null | undefined)[];
  label: (field: string) => string;
  value: (field: string, value: Value) => string;
}

/** The fields of a change: from what to what; of a new item only how many, until asked. */
function Changed({ change, hidden, label, value }: ChangedProps) {
  const say = useWords();
  const fields = Object.entries(change.changed).filter(([name]) => !hidden.includes(name));
  const filled = change.operation === "insert" ? fields.filter(([, { new: now }]) => now !== null && now !== undefined) : fields;
  const [open, setOpen] = useState(change.operation === "update" && filled.length <= FIELDS_SHOWN);
  if (filled.length === 0) return change.geometry ? null : <p class="muted">{say("history_nothing")}</p>;
  if (!open) {
    return (
      <p class="muted">
        {say(change.operation === "insert" ? "history_fields" : "changed_count", { n: filled.length })}{" "}
        <button type="button" class="link" aria-expanded={false} onClick={() => { setOpen(true); }}>{say("more")}</button>
      </p>
    );
  }
  return (
    <dl class="differences">
      {filled.map(([name, { old, new: now }]) => (
        <div key={name}>
          <dt>{label(name)}</dt>
          <dd>{change.operation === "update" && <><del>{value(name, old)}</del> → </>}{change.operation === "delete" ? <del>{value(name, old)}</del> : <ins>{value(name, now)}</ins>}</dd>
        </div>
      ))}
    </dl>
  );
}
