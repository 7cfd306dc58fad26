import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Collection, Feature } from "../api";
import { useApp } from "../context";
import { valueText } from "../values";
import { type Entry, valueOf } from "./entries";
import { type Form, formOf, GEOMETRY, mergeOf, merged, type Side } from "./form";
import { type ItemChange, readHistory, reasonOf, restoreItem, type Tagged } from "./requests";
import { geometryOf, metresBetween, metresText, type Shape, verticesOf } from "./shape";
import { useWords } from "./words";

interface Props {
  collection: Collection;
  fid: number;
  base: Form;
  mine: Form;
  /** The item as the service has it; null when it was deleted. */
  current: Feature | null;
  onBack: () => void;
  onDrop: () => void;
  /** The deleted item is there again. */
  onRestored: (back: Tagged) => void;
  onChosen: (chosen: Form, theirs: Form) => void;
}

/** Two states of one item, field by field; what is chosen is saved on top of theirs. */
export function Conflict({ collection, fid, base, mine, current, onBack, onDrop, onRestored, onChosen }: Props) {
  const { act, state, text } = useApp();
  const say = useWords();
  const { layer, id: layerId } = collection;
  const heading = useRef<HTMLHeadingElement>(null);
  const theirs = useMemo(() => (current ? formOf(layer, current) : null), [current]);
  const merge = useMemo(() => (theirs ? mergeOf(layer, base, theirs, mine) : null), [theirs]);
  const [chosen, setChosen] = useState<Record<string, Side>>({});
  const [latest, setLatest] = useState<ItemChange | null>(null);
  const [wrong, setWrong] = useState("");

  useEffect(() => {
    heading.current?.focus();
    readHistory(layerId, fid).then((changes) => { setLatest(changes[0] ?? null); }, () => { /* then nobody is named */ });
  }, [layerId, fid]);
  useEffect(() => {
    if (!merge || !theirs || !act.view) return;
    const drawn = [[theirs, "old"], [mine, "shape"]] as const;
    const both = [base.shape, theirs.shape, mine.shape].flatMap((shape) => (shape ? verticesOf(shape) : []));
    if (merge.shapes) act.view.fit(both, {});
    act.view.drawEditing(merge.shapes ? drawn.flatMap(([form, kind]) => {
      const geometry = geometryOf(form.shape, "Geometry");
      return geometry ? [{ type: "Feature" as const, geometry, properties: { kind } }] : [];
    }) : []);
    return () => { act.view?.drawEditing([]); };
  }, [merge]);

  const label = (name: string) => (name === GEOMETRY ? say("group_geometry") : (layer.fields.find((field) => field.name === name)?.label[state.lang] ?? name));
  const placeText = (shape: Shape | null) => {
    if (!shape) return say("unknown");
    const [was, now] = [base.shape?.kind === "point" ? verticesOf(base.shape)[0] : undefined, shape.kind === "point" ? verticesOf(shape)[0] : undefined];
    return was && now ? say("moved_by", { d: metresText(metresBetween(was, now)) }) : say("vertices", { n: verticesOf(shape).length });
  };
  const shown = (name: string, entry: Entry) => {
    const field = layer.fields.find((one) => one.name === name);
    return (field && valueText(field, valueOf(field, entry), text)) ?? say("unknown");
  };
  const by = latest && (
    <p class="muted">
      {say("conflict_by", { who: latest.author ?? say("conflict_someone"), time: latest.recorded_at ? text.time(latest.recorded_at) : "" })}
      {latest.reason && ` · ${latest.reason}`}
    </p>
  );
  const join = state.lang === "zh" ? "、" : ", ";

  if (!theirs || !merge) {
    const restore = async () => {
      try {
        const [deletion] = await readHistory(layerId, fid);
        if (deletion?.version) onRestored(await restoreItem(layerId, fid, deletion.version - 1, null, ""));
      } catch (error) {
        setWrong(reasonOf(error));
      }
    };
    return (
      <section class="card edit conflict" aria-label={say("conflict_deleted")}>
        <header class="card-head"><div><h2 ref={heading} tabIndex={-1}>{say("conflict_deleted")}</h2>{by}</div></header>
        <div class="card-body">
          {wrong !== "" && <p class="warning" role="alert">{wrong}</p>}
          <p class="actions">
            <button type="button" class="primary" onClick={() => { void restore(); }}>{say("conflict_restore")}</button>
            <button type="button" onClick={onBack}>{say("back_to_form")}</button>
            <button type="button" class="danger" onClick={onDrop}>{say("conflict_drop")}</button>
          </p>
        </div>
      </section>
    );
  }

  const rows = [...merge.both.map((one) => one.name), ...(merge.shapes ? [GEOMETRY] : [])];
  const open = rows.filter((name) => !chosen[name]);
  const all = (side: Side) => { setChosen(Object.fromEntries(rows.map((name) => [name, side]))); };
  const choice = (name: string, side: Side, value: string) => (
    <label class={chosen[name] === side ? "choice on" : "choice"}>
      <input type="radio" name={`choose-${name}`} checked={chosen[name] === side} onChange={() => { setChosen({ ...chosen, [name]: side }); }} />
      <span class="side">{say(side === "theirs" ? "conflict_theirs" : "conflict_mine")}</span>
      <span class="value">{value}</span>
    </label>
  );
  return (
    <section class="card edit conflict" aria-label={say("conflict_title")}>
      <header class="card-head">
        <button type="button" class="icon-button" aria-label={say("back_to_form")} onClick={onBack}>←</button>
        <div><h2 ref={heading} tabIndex={-1}>{say("conflict_title")}</h2>{by}</div>
      </header>
      <div class="card-body">
        <p>{say("conflict_text")}</p>
        {merge.theirs.length > 0 && <p class="muted">{say("conflict_merged", { n: merge.theirs.length, names: merge.theirs.map(label).join(join) })}</p>}
        {rows.length > 1 && (
          <p class="actions">
            <button type="button" onClick={() => { all("theirs"); }}>{say("conflict_all_theirs")}</button>
            <button type="button" onClick={() => { all("mine"); }}>{say("conflict_all_mine")}</button>
          </p>
        )}
        {merge.both.map(({ name, base: was, theirs: other, mine: own }) => (
          <fieldset key={name} class="difference" data-field={name}>
            <legend>{label(name)} <span class="muted">{say("conflict_was")} {shown(name, was)}</span></legend>
            {choice(name, "theirs", shown(name, other))}
            {choice(name, "mine", shown(name, own))}
          </fieldset>
        ))}
        {merge.shapes && (
          <fieldset class="difference" data-field={GEOMETRY}>
            <legend>{say("group_geometry")} <span class="muted">{say("legend_theirs")}</span></legend>
            {choice(GEOMETRY, "theirs", `┄ ${placeText(theirs.shape)}`)}
            {choice(GEOMETRY, "mine", `━ ${placeText(mine.shape)}`)}
          </fieldset>
        )}
      </div>
      <footer class="panel-foot edit-foot">
        <p class="actions">
          <button type="button" class="primary" disabled={open.length > 0} onClick={() => { onChosen(merged(layer, merge, theirs, mine, chosen), theirs); }}>{say("conflict_save")}</button>
          <button type="button" onClick={onBack}>{say("back_to_form")}</button>
          {open.length > 0 && <span class="muted count" role="status">{say("conflict_choose", { n: open.length })}</span>}
        </p>
      </footer>
    </section>
  );
}
