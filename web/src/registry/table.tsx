import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Collection, Feature, Field, Value } from "../api";
import { useApp } from "../context";
import { BulkEdit, PasteDialog, startCreate } from "../edit";
import { Popup } from "../panels/popup";
import { SymbolPicture } from "../panels/symbol_picture";
import { ruleIndexOf } from "../rules";
import { remember, remembered } from "../state";
import { valueText } from "../values";
import { dueOf } from "./card_facts";
import { fidOf } from "./control";
import { FilterChips } from "./filter_chips";
import { SampleChip } from "./sample_chip";

const COLUMNS_AT_FIRST = 12;
/** Rows drawn above and below what is seen. */
const SPARE = 12;
const NEAR_END_PX = 1200;

/** The columns that stand at first: where an item is in its loop, who, then the layer's own order. */
function firstColumns({ layer }: Collection): string[] {
  const { workflow, fields, name_field } = layer;
  const foremost = [workflow?.state, workflow?.grade, workflow?.deadline, workflow?.fixed_items?.[0]?.fields[0]].filter((name) => typeof name === "string");
  const helpers = new Set((layer.computed ?? []).flatMap((one) => [one.stated, one.reason, one.computed, one.at_least]));
  const rest = fields.map((field) => field.name).filter((name) => name !== name_field && !foremost.includes(name) && !helpers.has(name));
  return [...foremost, ...rest].slice(0, COLUMNS_AT_FIRST);
}

function keptColumns(collection: Collection): string[] {
  const known = new Set(collection.layer.fields.map((field) => field.name));
  const kept = remembered(`columns.${collection.id}`)?.split(",").filter((name) => known.has(name));
  return kept && kept.length > 0 ? kept : firstColumns(collection);
}

function compare(a: Value, b: Value, field: Field | undefined, lang: string): number {
  if (field?.type === "code") {
    const order = (value: Value) => field.codes?.findIndex((one) => one.code === value) ?? -1;
    return order(a) - order(b);
  }
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), lang === "zh" ? "zh-CN" : "en");
}

interface Sort {
  name: string;
  down: boolean;
}

/** Rows in the order of a column; what is unknown stands last either way. */
function sorted(features: Feature[], sort: Sort | null, collection: Collection, lang: string): Feature[] {
  if (!sort) return features;
  const field = collection.layer.fields.find((one) => one.name === sort.name);
  const missing = (value: Value) => value === null || value === undefined || value === "";
  return features.toSorted((one, other) => {
    const [a, b] = [one.properties[sort.name], other.properties[sort.name]];
    if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b));
    return compare(a, b, field, lang) * (sort.down ? -1 : 1);
  });
}

function ColumnChoice({ collection, chosen, onChange }: { collection: Collection; chosen: string[]; onChange: (names: string[]) => void }) {
  const { state, text } = useApp();
  const fields = collection.layer.fields.filter((field) => field.name !== collection.layer.name_field);
  return (
    <Popup label={text.t("columns")} class="column-choice">
      {fields.map((field) => (
        <label key={field.name}>
          <input type="checkbox" checked={chosen.includes(field.name)} onChange={(event) => { onChange(event.currentTarget.checked ? [...chosen, field.name] : chosen.filter((name) => name !== field.name)); }} />
          <span>{field.label[state.lang]}</span>
        </label>
      ))}
      <button type="button" class="link" onClick={() => { onChange(firstColumns(collection)); }}>{text.t("columns_first")}</button>
    </Popup>
  );
}

interface RowProps {
  collection: Collection;
  feature: Feature;
  fields: Field[];
  index: number;
  focusable: boolean;
  today: string;
  onPick: (fid: number, index: number, range: boolean) => void;
  onOpen: (feature: Feature) => void;
}

function Row({ collection, feature, fields, index, focusable, today, onPick, onOpen }: RowProps) {
  const { act, state, text } = useApp();
  const fid = fidOf(feature);
  const { map, workflow } = collection.layer;
  const rule = map?.rules[ruleIndexOf(map, feature.properties)];
  const name = act.nameOf(feature, collection.id);
  const picked = state.chosen.includes(fid);
  const open = state.selected?.layer === collection.id && state.selected.fid === fid;
  const overdue = workflow ? dueOf(collection, feature.properties, today, text) : null;
  return (
    <tr
      class={`${picked ? "picked" : ""}${open ? " open" : ""}`} data-index={index} data-fid={fid} data-row={`${collection.id}.${fid}`} tabIndex={focusable ? 0 : -1} aria-selected={picked} aria-rowindex={index + 2}
      onClick={(event) => {
        if (event.target instanceof Element && event.target.closest("input")) return;
        if (event.shiftKey || event.ctrlKey || event.metaKey) onPick(fid, index, event.shiftKey);
        else onOpen(feature);
      }}
      onMouseDown={(event) => { if (event.shiftKey) event.preventDefault(); }}
    >
      <td class="pick"><label><input type="checkbox" tabIndex={-1} checked={picked} aria-label={text.t("pick_row", { name })} onClick={(event) => { onPick(fid, index, event.shiftKey); }} /></label></td>
      <th scope="row"><span class="cell-name">{rule && <SymbolPicture symbol={rule.symbol} scale={Math.min(1, 16 / rule.symbol.size)} />}<span>{name}</span></span></th>
      {fields.map((field) => {
        const value = valueText(field, feature.properties[field.name], text);
        const late = field.name === workflow?.deadline && overdue?.overdue;
        return (
          <td key={field.name} class={`${field.type === "integer" || field.type === "number" ? "digits number" : ""}${late ? " danger" : ""}`} title={value ?? undefined}>
            {value === null ? <span class="unknown-cell">{text.t("unknown")}</span> : late ? `${value} · ${overdue.text}` : value}
          </td>
        );
      })}
    </tr>
  );
}

/** The items of a layer as rows: the definition's columns, rows to be picked for a change of many at once. */
export function Table() {
  const { act, state, text } = useApp();
  const collection = act.registry.collection;
  const scroll = useRef<HTMLDivElement>(null);
  const [columns, setColumns] = useState(() => (collection ? keptColumns(collection) : []));
  const [sort, setSort] = useState<Sort | null>(null);
  const [seen, setSeen] = useState({ top: 0, height: 800 });
  const [active, setActive] = useState(0);
  const [anchor, setAnchor] = useState<number | null>(null);
  const [bulk, setBulk] = useState(false);
  const [paste, setPaste] = useState(false);
  const { rows, chosen } = state;
  const loaded = rows.value?.features;
  const features = useMemo(() => (collection && loaded ? sorted(loaded, sort, collection, state.lang) : []), [loaded, sort, state.lang]);
  const rowHeight = state.phone ? 44 : 36;
  useEffect(() => {
    const box = scroll.current;
    if (!box) return;
    const watch = new ResizeObserver(() => { setSeen({ top: box.scrollTop, height: box.clientHeight }); });
    watch.observe(box);
    return () => { watch.disconnect(); };
  }, [rows.value === null]);
  useEffect(() => { scroll.current?.scrollTo({ top: 0 }); setActive(0); setAnchor(null); }, [state.registry.filter, sort]);
  if (!collection) return null;

  const fields = columns.flatMap((name) => collection.layer.fields.find((field) => field.name === name) ?? []);
  const today = state.board.value?.today ?? new Date().toISOString().slice(0, 10);
  const can = act.can(collection.id);
  const choose = (names: string[]) => {
    setColumns(names);
    remember(`columns.${collection.id}`, names.join(","));
  };
  const pick = (fid: number, index: number, range: boolean) => {
    const on = !chosen.includes(fid);
    const from = range && anchor !== null ? anchor : index;
    const picked = features.slice(Math.min(from, index), Math.max(from, index) + 1).map(fidOf);
    setAnchor(index);
    setActive(index);
    act.set({ chosen: range && anchor !== null ? [...new Set([...chosen, ...picked])] : on ? [...chosen, fid] : chosen.filter((one) => one !== fid) });
  };
  const open = (feature: Feature) => {
    const item = { layer: collection.id, fid: fidOf(feature) };
    setActive(features.indexOf(feature));
    act.select(item, { geometry: feature.geometry, fly: true });
  };
  const order = (name: string) => {
    if (rows.value?.next) void act.registry.more(true);
    setSort((now) => (now?.name !== name ? { name, down: false } : now.down ? null : { name, down: true }));
  };
  const scrolled = (box: HTMLDivElement) => {
    setSeen({ top: box.scrollTop, height: box.clientHeight });
    if (rows.value?.next && box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX) void act.registry.more();
  };
  /** Takes the focus to a row, drawing it first. */
  const focusRow = (index: number) => {
    const to = Math.max(0, Math.min(features.length - 1, index));
    const box = scroll.current;
    if (!box) return;
    setActive(to);
    if (to * rowHeight < box.scrollTop) box.scrollTop = to * rowHeight;
    else if ((to + 2) * rowHeight > box.scrollTop + box.clientHeight) box.scrollTop = (to + 2) * rowHeight - box.clientHeight;
    const row = () => box.querySelector<HTMLElement>(`tr[data-index="${to}"]`);
    if (row()) row()?.focus({ preventScroll: true });
    else requestAnimationFrame(() => row()?.focus({ preventScroll: true }));
  };
  const keyed = (event: KeyboardEvent) => {
    const row = event.target instanceof Element ? event.target.closest<HTMLElement>("tr[data-index]") : null;
    if (!row || event.target !== row) return;
    const index = Number(row.dataset.index);
    const feature = features[index];
    const page = Math.max(1, Math.floor(seen.height / rowHeight) - 2);
    const to: Record<string, number> = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: features.length - 1 };
    const next = to[event.key];
    if (next !== undefined) {
      if (event.shiftKey && feature) {
        const other = features[Math.max(0, Math.min(features.length - 1, next))];
        act.set({ chosen: [...new Set([...chosen, fidOf(feature), ...(other ? [fidOf(other)] : [])])] });
      }
      focusRow(next);
    } else if (event.key === " " && feature) pick(fidOf(feature), index, event.shiftKey);
    else if (event.key === "Enter" && feature) open(feature);
    else return;
    event.preventDefault();
  };

  const first = Math.max(0, Math.floor(seen.top / rowHeight) - SPARE);
  const last = Math.min(features.length, Math.ceil((seen.top + seen.height) / rowHeight) + SPARE);
  const shown = features.slice(first, last);
  const all = chosen.length > 0 && chosen.length === features.length;
  return (
    <div class="table-view">
      <div class="table-bar">
        <FilterChips />
        <span class="space" />
        <SampleChip />
        {can.edit && chosen.length > 0 && (
          <>
            <button type="button" class="primary" onClick={() => { setBulk(true); }}>{text.t("bulk_edit", { n: chosen.length })}</button>
            <button type="button" class="link" onClick={() => { act.set({ chosen: [] }); }}>{text.t("pick_none")}</button>
          </>
        )}
        {can.edit && chosen.length === 0 && <button type="button" onClick={() => { setPaste(true); }}>{text.t("paste")}</button>}
        <ColumnChoice collection={collection} chosen={columns} onChange={choose} />
        <span class="muted digits" role="status">{rows.value ? text.t(rows.value.next ? "rows_loaded" : "rows_all", { n: features.length }) : ""}</span>
        {rows.value?.next && <button type="button" class="link" onClick={() => { void act.registry.more(true); }}>{text.t("rows_load_all")}</button>}
      </div>
      {rows.status === "failed" && <p class="problem" role="alert">{text.t("failed")}: {rows.error} <button type="button" class="link" onClick={() => { void act.registry.loadRows(); }}>{text.t("retry")}</button></p>}
      {!rows.value && rows.status !== "failed" && <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /><i /></div>}
      {rows.value && features.length === 0 && (
        <div class="nothing">
          <p><strong>{text.t(act.registry.isFiltered ? "list_empty" : "board_empty", { layer: collection.titles[state.lang] })}</strong></p>
          {!act.registry.isFiltered && <p class="muted">{collection.abstracts[state.lang]}</p>}
          {!act.registry.isFiltered && can.edit && <p class="actions"><button type="button" class="primary" onClick={() => { act.startImport(collection.id); }}>{text.t("import")}</button><button type="button" onClick={() => { startCreate(act, collection.id); }}>{text.t("add")}</button></p>}
        </div>
      )}
      {rows.value && features.length > 0 && (
        <div class={rows.status === "loading" ? "table-scroll old" : "table-scroll"} ref={scroll} onScroll={(event) => { scrolled(event.currentTarget); }} onKeyDown={keyed}>
          <table class="registry-table" aria-rowcount={rows.value.next ? -1 : features.length + 1} aria-multiselectable="true">
            <thead>
              <tr>
                <td class="pick"><label><input type="checkbox" checked={all} aria-label={text.t("pick_all")} onClick={() => { act.set({ chosen: all ? [] : features.map(fidOf) }); }} /></label></td>
                {[collection.layer.name_field ?? "", ...columns].map((name, index) => {
                  const field = collection.layer.fields.find((one) => one.name === name);
                  const by = sort?.name === name ? (sort.down ? "descending" : "ascending") : "none";
                  return (
                    <th key={name} scope="col" aria-sort={by} class={index > 0 && (field?.type === "integer" || field?.type === "number") ? "number" : ""}>
                      <button type="button" title={rows.value?.next ? text.t("sort_loads_all") : text.t("sort_by")} onClick={() => { order(name); }}>{field?.label[state.lang] ?? text.t("item")}<span aria-hidden="true">{by === "ascending" ? " ▲" : by === "descending" ? " ▼" : ""}</span></button>
                    </th>
                  );
                })}
              </tr>
            </thead>
            <tbody>
              {first > 0 && <tr class="spacer" aria-hidden="true" style={{ height: `${first * rowHeight}px` }} />}
              {shown.map((feature, index) => (
                <Row
                  key={feature.id} collection={collection} feature={feature} fields={fields} index={first + index} focusable={first + index === active} today={today} onPick={pick} onOpen={open}
                />
              ))}
              {last < features.length && <tr class="spacer" aria-hidden="true" style={{ height: `${(features.length - last) * rowHeight}px` }} />}
            </tbody>
          </table>
        </div>
      )}
      {bulk && <BulkEdit layer={collection.id} fids={chosen} onDone={() => { setBulk(false); act.set({ chosen: [] }); }} />}
      {paste && <PasteDialog layer={collection.id} onClose={() => { setPaste(false); }} />}
    </div>
  );
}
