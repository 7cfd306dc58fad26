import type { Feature, MapCollection } from "../api";
import { type Cluster, sumsOf } from "../clusters";
import { useApp } from "../context";
import { ruleIndexOf } from "../rules";
import { clustersIn, rowsOf } from "../rows";
import { subtitleOf } from "../values";
import { SymbolPicture } from "./symbol_picture";

/** A cluster in the list: how many, the gravest, what they add up to. */
function ClusterRow({ cluster, collection }: { cluster: Cluster; collection: MapCollection }) {
  const { act, state, text } = useApp();
  const rule = collection.layer.map.rules[cluster.rule];
  const label = rule?.label[state.lang] ?? "";
  const gravest = cluster.graded ? text.t("cluster_worst", { label }) : collection.layer.map.rules.length > 1 ? label : "";
  return (
    <li class="row">
      <button type="button" class="row-main" data-row={`cluster.${cluster.id}`} title={text.t("cluster_split")} onClick={() => { act.split(cluster, true); }}>
        {rule && <SymbolPicture symbol={rule.symbol} />}
        <span class="row-text">
          <strong>{text.t("cluster_here", { n: cluster.count, layer: collection.titles[state.lang] })}</strong>
          <span class="muted">{[gravest, ...sumsOf(cluster, collection, text)].filter(Boolean).join(" · ")}</span>
        </span>
        {cluster.sample && <span class="chip sample">{text.t("sample")}</span>}
      </button>
    </li>
  );
}

/** What is in view of a layer, by name; first what the map shows as one. */
export function ItemsInView() {
  const { act, state, text } = useApp();
  const { inView, listed, lang } = state;
  const choices = act.drawn.filter((one) => one.layer.map.group !== "basemap" && (act.visible(one.id) || one.id === listed));
  const collection = act.drawn.find((one) => one.id === listed);
  const rows = rowsOf(state);
  const clusters = clustersIn(state);
  const total = clusters.length > 0 && listed ? (state.seen.counts[listed] ?? []).reduce((sum, n) => sum + (n ?? 0), 0) : rows.length;
  const more = clusters.length === 0 && inView.value?.more === true;
  const inRules = collection?.layer.map.rules.flatMap((rule) => Object.keys(rule.when)) ?? [];
  return (
    <>
      <div class="list-head">
        <label>{text.t("in_view")}
          <select value={listed ?? ""} onChange={(event) => { act.setListed(event.currentTarget.value); }}>
            {choices.map((one) => <option key={one.id} value={one.id}>{one.titles[lang]}</option>)}
          </select>
        </label>
        {inView.value && <span class="muted digits">{text.t(more ? "in_view_count_more" : "in_view_count", { n: total })}</span>}
      </div>
      <div class="scroll">
        {inView.status === "failed" && (
          <p class="problem" role="alert">{text.t("failed")}: {inView.error} <button type="button" class="link" onClick={() => { void act.list(); }}>{text.t("retry")}</button></p>
        )}
        {inView.status === "loading" && !inView.value && <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /></div>}
        <ol class={inView.status === "loading" ? "rows old" : "rows"}>
          {collection && clusters.map((cluster) => <ClusterRow key={cluster.id} cluster={cluster} collection={collection} />)}
          {collection && rows.map((row) => {
            const feature: Pick<Feature, "id" | "properties"> = row.feature ?? { id: row.item.fid, properties: {} };
            const rule = collection.layer.map.rules[row.rule ?? ruleIndexOf(collection.layer.map, feature.properties)];
            return (
              <li key={row.id} class="row">
                <button type="button" class="row-main" data-row={row.id} onClick={() => { act.select(row.item, { ...(row.geometry && { geometry: row.geometry }), fly: true }); }}>
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
        {inView.value && total === 0 && collection && <p class="empty">{text.t("in_view_none", { layer: collection.titles[lang] })}</p>}
        {more && <p class="empty">{text.t("in_view_more")}</p>}
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
