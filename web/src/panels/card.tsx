import { positions } from "../geometry";
import { coordinateText } from "../coordinates";
import { useApp } from "../context";
import { ruleIndexOf } from "../rules";
import { ageOf, cardRows, secondsSince } from "../values";
import { SymbolPicture } from "./symbol_picture";

/** The fields of the selected feature: what is known, what is not, and where it comes from. */
export function CardBody() {
  const { act, state, text } = useApp();
  const { card, selected } = state;
  const collection = selected ? act.collection(selected.layer) : undefined;
  if (card.status === "failed") {
    return (
      <p class="problem" role="alert">
        {text.t("failed")}: {card.error}{" "}
        <button type="button" class="link" onClick={() => { if (selected) act.select(selected); }}>{text.t("retry")}</button>
      </p>
    );
  }
  if (!card.value || !collection) return <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /></div>;
  const { properties, geometry } = card.value;
  const { known, unknown } = cardRows(collection, properties, text);
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
      <dl class="fields">
        {known.map(({ name, label, value }) => (
          <div key={name}><dt>{label}</dt><dd>{value}</dd></div>
        ))}
        {point && <div><dt>{text.t("position")}</dt><dd class="digits">{coordinateText(point)}</dd></div>}
        {typeof properties.source === "string" && <div><dt>{text.t("source")}</dt><dd>{source ? `${source.name} · ${source.attribution}` : properties.source}</dd></div>}
        {typeof properties.recorded_at === "string" && <div><dt>{text.t("recorded")}</dt><dd>{text.time(properties.recorded_at)}</dd></div>}
      </dl>
      {unknown.length > 0 && <p class="muted unknown-fields">{text.t("unknown_fields", { names: unknown.join(text.lang === "zh" ? "、" : ", ") })}</p>}
      <p class="actions">
        {point && <button type="button" onClick={() => { act.setIncident(point); }}>{text.t("incident_here")}</button>}
        <button type="button" onClick={() => { if (positions(geometry).length > 0) act.flyTo(geometry); }}>{text.t("zoom_to")}</button>
        <button type="button" onClick={() => { void act.copy(location.origin + act.link, false); }}>{text.t("copy_link")}</button>
      </p>
    </>
  );
}

/** The card of a selected feature that is not in the list. */
export function Card() {
  const { act, state, text } = useApp();
  const { card, selected } = state;
  if (!selected) return null;
  const collection = act.collection(selected.layer);
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
      <div class="card-body"><CardBody /></div>
    </section>
  );
}
