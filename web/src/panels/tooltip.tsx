import { useApp, useStore } from "../context";

/** Name and kind of what is under the pointer. */
export function Tooltip() {
  const { act, state } = useApp();
  const hit = useStore(act.hover);
  if (!hit || state.picking) return null;
  const collection = act.drawn.find((one) => one.id === hit.layer);
  const rule = collection?.layer.map.rules[hit.rule];
  const name = hit.properties[collection?.layer.name_field ?? "name"];
  return (
    <div class="tooltip" style={{ left: `${hit.x}px`, top: `${hit.y}px` }} aria-hidden="true">
      {typeof name === "string" && name !== "" && <strong>{name}</strong>}
      <span>{rule?.label[state.lang]}</span>
    </div>
  );
}
