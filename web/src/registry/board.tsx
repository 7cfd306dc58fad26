import { useEffect, useState } from "preact/hooks";
import type { BoardState, Collection, Feature } from "../api";
import { useApp } from "../context";
import { startCreate } from "../edit";
import { SymbolPicture } from "../panels/symbol_picture";
import { ruleIndexOf } from "../rules";
import { ageOf, secondsSince } from "../values";
import { dueOf, factsOf, responsibleOf } from "./card_facts";
import { fidOf } from "./control";
import { SampleChip } from "./sample_chip";
import { StepDialog } from "./step_dialog";

interface CardProps {
  collection: Collection;
  feature: Feature;
  today: string;
  /** Whether the layer holds both real and sample items. */
  mixed: boolean;
  onStep: () => void;
}

/** One item: what and where it is, who is responsible, when it is due, and what can be done next. */
function BoardCard({ collection, feature, today, mixed, onStep }: CardProps) {
  const { act, state, text } = useApp();
  const fid = fidOf(feature);
  const map = collection.layer.map;
  const rule = map?.rules[ruleIndexOf(map, feature.properties)];
  const due = dueOf(collection, feature.properties, today, text);
  const responsible = responsibleOf(collection, feature);
  const selected = state.selected?.layer === collection.id && state.selected.fid === fid;
  const { stated_at } = feature.properties;
  const name = act.nameOf(feature, collection.id);
  const may = act.can(collection.id);
  const steps = may.edit || act.session.may("review");
  return (
    <li class={`board-card${due.overdue ? " late" : ""}${selected ? " selected" : ""}`} data-card={fid}>
      <button type="button" class="card-main" data-row={`${collection.id}.${fid}`} aria-pressed={selected} onClick={() => { act.select(selected ? null : { layer: collection.id, fid }, { geometry: feature.geometry, fly: true }); }}>
        <span class="card-name">{rule && <SymbolPicture symbol={rule.symbol} scale={Math.min(1, 18 / rule.symbol.size)} />}<strong>{name}</strong>{mixed && feature.properties.sample === true && <span class="chip sample">{text.t("sample")}</span>}</span>
        {rule && <span class="away">{rule.label[state.lang]}</span>}
        <span class="card-facts">{factsOf(collection, feature.properties, text).map((fact, index) => <span key={index}>{fact}</span>)}</span>
        <span class="card-who"><span class={responsible === null ? "muted" : ""}>{responsible ?? text.t("responsible_none")}</span><b class={due.overdue ? "danger" : "muted"}>{due.text}</b></span>
      </button>
      {state.asOf === null && (steps || may.edit) && (
        <p class="card-acts">
          {may.edit && (
            <button type="button" class="link still" title={text.t("still_true_title", { age: ageOf(secondsSince(stated_at), text).text })} aria-label={text.t("still_true_of", { name })} onClick={() => { void act.registry.confirm(collection.id, fid); }}>
              <span aria-hidden="true">✓</span> {text.t("still_true")} <span class="digits">{typeof stated_at === "string" ? text.day(text.date(stated_at), today) : text.t("unknown")}</span>
            </button>
          )}
          {steps && <button type="button" class="link next" aria-label={text.t("next_step_of", { name })} onClick={onStep}>{text.t("next_step")} <span aria-hidden="true">›</span></button>}
        </p>
      )}
    </li>
  );
}

function Count({ state: { count, overdue } }: { state: BoardState }) {
  const { text } = useApp();
  return <span class="digits">{text.n(count)}{overdue > 0 && <b class="danger"> · {text.t("overdue_n", { n: overdue })}</b>}</span>;
}

interface ColumnProps {
  collection: Collection;
  column: BoardState;
  today: string;
  onStep: (fid: number) => void;
}

function Cards({ collection, column, today, onStep }: ColumnProps) {
  const { act, text } = useApp();
  const { code, items, count, more } = column;
  const mixed = collection.counts.real > 0 && collection.counts.sample > 0;
  return (
    <>
      <ol>{items.map((feature) => <BoardCard key={feature.id} collection={collection} feature={feature} today={today} mixed={mixed} onStep={() => { onStep(fidOf(feature)); }} />)}</ol>
      {items.length === 0 && <p class="muted column-empty">{text.t("column_empty")}</p>}
      {more && code !== null && <button type="button" class="link wide" onClick={() => { act.registry.list({ state: code }); }}>{text.t("column_more", { n: count - items.length })}</button>}
    </>
  );
}

/** Columns by state; those without items are narrow. */
function Columns({ columns, ...rest }: Omit<ColumnProps, "column"> & { columns: BoardState[] }) {
  const { state } = useApp();
  return (
    <div class="columns">
      {columns.map((column) => (
        <section key={column.code ?? ""} class={column.count === 0 ? "column none" : "column"} aria-label={column.label[state.lang]} data-state={column.code ?? ""}>
          <header><h2>{column.label[state.lang]}</h2><Count state={column} /></header>
          {column.count > 0 && <div class="column-cards"><Cards column={column} {...rest} /></div>}
        </section>
      ))}
    </div>
  );
}

/** On a phone one state at a time. */
function OneState({ columns, ...rest }: Omit<ColumnProps, "column"> & { columns: BoardState[] }) {
  const { state, text } = useApp();
  const first = columns.find((one) => one.overdue > 0) ?? columns.find((one) => one.count > 0) ?? columns[0];
  const [chosen, setChosen] = useState(first?.code ?? "");
  const column = columns.find((one) => (one.code ?? "") === chosen) ?? first;
  if (!column) return null;
  return (
    <section class="one-state" aria-label={column.label[state.lang]}>
      <label><span class="muted">{text.t("state")}</span>
        <select value={chosen} onChange={(event) => { setChosen(event.currentTarget.value); }}>
          {columns.map((one) => <option key={one.code ?? ""} value={one.code ?? ""}>{one.label[state.lang]} {one.count}{one.overdue > 0 ? ` · ${text.t("overdue_n", { n: one.overdue })}` : ""}</option>)}
        </select>
      </label>
      <SampleChip />
      <Cards column={column} {...rest} />
    </section>
  );
}

/** The items in the loop by state, the overdue first. */
export function Board() {
  const { act, state, text } = useApp();
  const [step, setStep] = useState<number | null>(null);
  const collection = act.registry.collection;
  const { value, status } = state.board;
  useEffect(() => { document.querySelector(".board-card.selected")?.scrollIntoView({ block: "nearest", inline: "nearest" }); }, [state.selected, value === null]);
  if (!collection) return null;
  if (!value) return status === "failed" ? null : <div class="skeleton columns-skeleton" aria-label={text.t("loading")}><i /><i /><i /><i /><i /></div>;
  const edit = act.can(collection.id).edit;
  const common = { collection, today: value.today, onStep: setStep };
  return (
    <div class={status === "loading" ? "board old" : "board"} aria-busy={status === "loading"}>
      {value.counts.registered === 0
        ? (
          <div class="nothing">
            <p><strong>{text.t("board_empty", { layer: collection.titles[state.lang] })}</strong></p>
            <p class="muted">{collection.abstracts[state.lang]}</p>
            {edit && <p class="actions"><button type="button" class="primary" onClick={() => { act.startImport(collection.id); }}>{text.t("import")}</button><button type="button" onClick={() => { startCreate(act, collection.id); }}>{text.t("add")}</button></p>}
          </div>
        )
        : state.phone ? <OneState columns={value.states} {...common} /> : <Columns columns={value.states} {...common} />}
      {step !== null && <StepDialog layer={collection.id} fid={step} onClose={() => { setStep(null); }} />}
    </div>
  );
}
