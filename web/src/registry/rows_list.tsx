import { useApp } from "../context";
import { ItemsInView } from "../panels/in_view";
import { SymbolPicture } from "../panels/symbol_picture";
import { ruleIndexOf } from "../rules";
import { dueOf, factsOf } from "./card_facts";
import { fidOf } from "./control";
import { FilterChips } from "./filter_chips";

/** The list twin of the registry's map: the filtered list, or what is in view. */
export function RegistryList() {
  const { act, state, text } = useApp();
  const { collection } = act.registry;
  const { rows, board } = state;
  if (!collection) return null;
  const { map } = collection.layer;
  const today = board.value?.today ?? new Date().toISOString().slice(0, 10);
  return (
    <>
      <div class="question"><FilterChips /></div>
      {!act.registry.isFiltered ? <ItemsInView /> : (
        <div class="scroll">
          {rows.status === "failed" && <p class="problem" role="alert">{text.t("failed")}: {rows.error} <button type="button" class="link" onClick={() => { void act.registry.loadRows(); }}>{text.t("retry")}</button></p>}
          {!rows.value && rows.status !== "failed" && <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /></div>}
          {rows.value?.features.length === 0 && <p class="empty">{text.t("list_empty")}</p>}
          <ol class={rows.status === "loading" ? "rows old" : "rows"}>
            {rows.value?.features.map((feature) => {
              const rule = map?.rules[ruleIndexOf(map, feature.properties)];
              const item = { layer: collection.id, fid: fidOf(feature) };
              const due = dueOf(collection, feature.properties, today, text);
              return (
                <li key={feature.id} class="row">
                  <button type="button" class="row-main" data-row={`${item.layer}.${item.fid}`} onClick={() => { act.select(item, { geometry: feature.geometry, fly: true }); }}>
                    {rule && <SymbolPicture symbol={rule.symbol} />}
                    <span class="row-text"><strong>{act.nameOf(feature, collection.id)}</strong><span class="muted">{factsOf(collection, feature.properties, text).join(" · ")}</span></span>
                    {due.text !== "" && <b class={due.overdue ? "danger" : "muted"}>{due.text}</b>}
                  </button>
                </li>
              );
            })}
          </ol>
          {rows.value?.next && <p class="empty"><button type="button" class="wide" onClick={() => { void act.registry.more(); }}>{text.t("rows_more")}</button></p>}
        </div>
      )}
    </>
  );
}
