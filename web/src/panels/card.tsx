import { useState } from "preact/hooks";
import type { Properties, Value } from "../api";
import { positions } from "../geometry";
import { coordinateText } from "../coordinates";
import { useApp } from "../context";
import { EndClosure, HistoryPanel, MonitorForm, startEdit } from "../edit";
import { NextStep } from "../registry";
import { ruleIndexOf } from "../rules";
import { refText } from "../url";
import { ageOf, cardRows, secondsSince } from "../values";
import { SymbolPicture } from "./symbol_picture";

/** Whether a closure has begun and not ended. */
function isOn({ starts_at, ends_at }: Properties): boolean {
  const moment = (value: Value, otherwise: number) => (typeof value === "string" ? Date.parse(value) : otherwise);
  return moment(starts_at, -Infinity) <= Date.now() && moment(ends_at, Infinity) > Date.now();
}

/** The fields of the selected feature: what is known, what is not, and where it comes from. */
export function CardBody({ onHistory }: { onHistory?: () => void }) {
  const { act, state, text } = useApp();
  const { card, selected } = state;
  const [stated, setStated] = useState<string | null>(null);
  const collection = selected ? act.collection(selected.layer) : undefined;
  if (card.status === "failed") {
    return (
      <p class="problem" role="alert">
        {text.t("failed")}: {card.error}{" "}
        <button type="button" class="link" onClick={() => { if (selected) act.select(selected); }}>{text.t("retry")}</button>
      </p>
    );
  }
  if (!card.value || !collection || !selected) return <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /></div>;
  const { properties, geometry } = card.value;
  const can = act.can(selected.layer);
  const { known, unknown } = cardRows(collection, properties, text, can.monitor);
  const age = ageOf(secondsSince(properties.stated_at), text);
  const flags = Array.isArray(properties.flags) ? properties.flags : [];
  const source = collection.sources.find((one) => one.id === properties.source);
  const point = geometry.type === "Point" ? geometry.coordinates : null;
  return (
    <>
      <p class="chips">
        <span class={age.stale ? "chip stale" : "chip"}>{age.text}</span>
        {properties.sample === true && <span class="chip sample">{text.t("sample")}</span>}
        {flags.map((flag) => <span key={flag} class="chip stale">{text.try(`flag_${flag}`, flag)}</span>)}
      </p>
      <p class="actions">
        {collection.layer.workflow && (can.edit || act.session.may("review")) && state.asOf === null && <NextStep {...selected} />}
        {point && <button type="button" onClick={() => { act.setIncident(point); }}>{text.t("incident_here")}</button>}
        <button type="button" onClick={() => { if (positions(geometry).length > 0) act.flyTo(geometry); }}>{text.t("zoom_to")}</button>
        <button type="button" onClick={() => { void act.copy(location.origin + act.link, false); }}>{text.t("copy_link")}</button>
        {can.edit && collection.layer.closes?.effect && isOn(properties) && <EndClosure {...selected} />}
        {can.edit && <button type="button" data-edit onClick={() => { startEdit(act, selected); }}>{text.t("edit")}</button>}
        {can.edit && collection.layer.fields.some((field) => field.name === "stated_at") && (
          <button type="button" title={text.t("still_true_hint")} onClick={() => { void act.registry.confirm(selected.layer, selected.fid); }}>{text.t("still_true")}</button>
        )}
        {onHistory && <button type="button" onClick={onHistory}>{text.t("history")}</button>}
      </p>
      <dl class="fields">
        {known.map(({ field, label, value, age: ofValue }) => (
          <div key={field.name} data-name={field.name}>
            <dt>{label}</dt>
            {stated === `${refText(selected)}.${field.name}` && card.value ? (
              <dd><MonitorForm {...selected} field={field} feature={card.value} onClose={() => { setStated(null); }} /></dd>
            ) : (
              <dd>
                {value ?? <span class="muted">{text.t("unknown")}</span>}
                {ofValue && <> <span class={ofValue.stale ? "chip stale" : "chip"}>{ofValue.text}</span></>}
                {can.monitor.includes(field.name) && (
                  <button type="button" class="icon-button pencil" aria-label={text.t("state_now", { label })} title={text.t("state_now", { label })} onClick={() => { setStated(`${refText(selected)}.${field.name}`); }}>
                    <svg viewBox="0 0 16 16" aria-hidden="true"><path d="m3 13 .7-3L10.5 3.2l2.3 2.3L6 12.3z" /></svg>
                  </button>
                )}
              </dd>
            )}
          </div>
        ))}
        {point && <div><dt>{text.t("position")}</dt><dd class="digits">{coordinateText(point)}</dd></div>}
        {typeof properties.source === "string" && <div><dt>{text.t("source")}</dt><dd>{source ? `${source.name} · ${source.attribution}` : properties.source}</dd></div>}
        {typeof properties.recorded_at === "string" && <div><dt>{text.t("recorded")}</dt><dd>{text.time(properties.recorded_at)}</dd></div>}
      </dl>
      {unknown.length > 0 && <p class="muted unknown-fields">{text.t("unknown_fields", { names: unknown.join(text.lang === "zh" ? "、" : ", ") })}</p>}
    </>
  );
}

/** The card of a selected feature that is not in the list. */
export function Card() {
  const { act, state, text } = useApp();
  const { card, selected } = state;
  const [past, setPast] = useState<string | null>(null);
  if (!selected) return null;
  const collection = act.collection(selected.layer);
  if (past === refText(selected)) {
    return <HistoryPanel {...selected} name={card.value ? act.nameOf(card.value, selected.layer) : refText(selected)} onClose={() => { setPast(null); }} />;
  }
  const rule = collection?.layer.map && card.value ? collection.layer.map.rules[ruleIndexOf(collection.layer.map, card.value.properties)] : undefined;
  return (
    <section class="card" aria-label={text.t("details")}>
      <header class="card-head">
        <button type="button" class="icon-button" aria-label={text.t("back")} onClick={() => { act.select(null); }}>←</button>
        {rule && <SymbolPicture symbol={rule.symbol} />}
        <div>
          <h2>{card.value ? act.nameOf(card.value, selected.layer) : (collection?.titles[state.lang] ?? selected.layer)}</h2>
          {rule && <p class="muted">{rule.label[state.lang]}</p>}
        </div>
      </header>
      <div class="card-body"><CardBody onHistory={() => { setPast(refText(selected)); }} /></div>
    </section>
  );
}
