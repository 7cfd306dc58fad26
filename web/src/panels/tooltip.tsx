import type { MapCollection } from "../api";
import { type Cluster, sumsOf } from "../clusters";
import { useApp, useStore } from "../context";
import { SymbolPicture } from "./symbol_picture";

/** How many items a cluster stands for, by rule, and what they add up to. */
function ClusterText({ cluster, collection }: { cluster: Cluster; collection: MapCollection }) {
  const { state, text } = useApp();
  const { rules } = collection.layer.map;
  return (
    <>
      <strong>{text.t("cluster_items", { n: cluster.count, layer: collection.titles[state.lang] })} {cluster.sample && <span class="chip sample">{text.t("sample")}</span>}</strong>
      {rules.length > 1 && (
        <ul class="entries">
          {rules.map((rule, index) => (cluster.counts[index] ?? 0) > 0 && (
            <li key={rule.label.zh}>
              <SymbolPicture symbol={rule.symbol} scale={rule.symbol.size > 18 ? 18 / rule.symbol.size : 1} />
              <span>{rule.label[state.lang]}</span>
              <span class="count digits">{text.n(cluster.counts[index] ?? 0)}</span>
            </li>
          ))}
        </ul>
      )}
      {sumsOf(cluster, collection, text).map((line) => <span key={line}>{line}</span>)}
      <span class="muted">{text.t("cluster_split")}</span>
    </>
  );
}

/** What is under the pointer: name and kind of an item, or what a cluster stands for. */
export function Tooltip() {
  const { act, state } = useApp();
  const hit = useStore(act.hover);
  if (!hit || state.picking) return null;
  const collection = act.drawn.find((one) => one.id === hit.layer);
  const rule = collection?.layer.map.rules[hit.rule];
  const name = hit.properties[collection?.layer.name_field ?? "name"];
  const pane = act.view?.map.getContainer();
  const side = `${hit.x > (pane?.clientWidth ?? 0) / 2 ? "left" : ""} ${hit.y > (pane?.clientHeight ?? 0) / 2 ? "above" : ""}`;
  return (
    <div class={hit.cluster ? `tooltip of-cluster ${side}` : "tooltip"} style={{ left: `${hit.x}px`, top: `${hit.y}px` }} aria-hidden="true">
      {hit.cluster && collection ? <ClusterText cluster={hit.cluster} collection={collection} /> : (
        <>
          {typeof name === "string" && name !== "" && <strong>{name}</strong>}
          <span>{rule?.label[state.lang]}</span>
        </>
      )}
    </div>
  );
}
