import { useApp } from "../context";
import { ruleIndexOf } from "../rules";
import { rowsOf } from "../rows";
import { subtitleOf } from "../values";
import { SymbolPicture } from "./symbol_picture";

/** What is in view of a layer, by name. */
export function ItemsInView() {
  const { act, state, text } = useApp();
  const { inView, listed, lang } = state;
  const choices = act.drawn.filter((one) => one.layer.map.group !== "basemap" && (act.visible(one.id) || one.id === listed));
  const collection = act.drawn.find((one) => one.id === listed);
  const rows = rowsOf(state);
  const inRules = collection?.layer.map.rules.flatMap((rule) => Object.keys(rule.when)) ?? [];
  return (
    <>
      <div class="list-head">
        <label>{text.t("in_view")}
          <select value={listed ?? ""} onChange={(event) => { act.setListed(event.currentTarget.value); }}>
            {choices.map((one) => <option key={one.id} value={one.id}>{one.titles[lang]}</option>)}
          </select>
        </label>
        {inView.value && <span class="muted digits">{text.t(inView.value.more ? "in_view_count_more" : "in_view_count", { n: rows.length })}</span>}
      </div>
      <div class="scroll">
        {inView.status === "failed" && (
          <p class="problem" role="alert">{text.t("failed")}: {inView.error} <button type="button" class="link" onClick={() => { void act.list(); }}>{text.t("retry")}</button></p>
        )}
        {inView.status === "loading" && !inView.value && <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /></div>}
        <ol class={inView.status === "loading" ? "rows old" : "rows"}>
          {collection && rows.map((row, index) => {
            const feature = inView.value?.features[index];
            if (!feature) return null;
            const rule = collection.layer.map.rules[ruleIndexOf(collection.layer.map, feature.properties)];
            return (
              <li key={row.id} class="row">
                <button type="button" class="row-main" data-row={row.id} onClick={() => { act.select(row.item, { geometry: row.geometry, fly: true }); }}>
                  {rule && <SymbolPicture symbol={rule.symbol} />}
                  <span class="row-text">
                    <strong>{act.nameOf(feature, collection.id)}</strong>
                    <span class="muted">{[rule?.label[lang], subtitleOf(collection, feature.properties, text, inRules, 1)].filter(Boolean).join(" · ")}</span>
                  </span>
                  {feature.properties.sample === true && <span class="chip sample">{text.t("sample")}</span>}
                </button>
              </li>
            );
          })}
        </ol>
        {inView.value && rows.length === 0 && collection && <p class="empty">{text.t("in_view_none", { layer: collection.titles[lang] })}</p>}
        {inView.value?.more && <p class="empty">{text.t("in_view_more")}</p>}
      </div>
    </>
  );
}

/** The list twin of a layer, under the call to set an incident. */
export function InView() {
  const { act, text } = useApp();
  return (
    <>
      <header class="question idle">
        <div class="title-line"><h2>{text.t("incident")}</h2></div>
        <p>{text.t("incident_empty")}</p>
        <button type="button" class="primary wide" onClick={() => { act.pick(); }}>{text.t("incident_here")}</button>
        <p class="muted ways">{text.t("incident_ways")}</p>
      </header>
      <ItemsInView />
    </>
  );
}
