import { useState } from "preact/hooks";
import { noFilter } from "../api";
import { useApp } from "../context";

/** What may be doubtful about an item. */
const FLAGS = ["location_doubt", "geometry_repaired", "point_of_area", "unread", "capacity_zero", "grade_differs"];

/** The list in words: what of the layer is shown, each part with a button that takes it away. */
export function FilterChips() {
  const { act, state, text } = useApp();
  const { filter } = state.registry;
  const { collection } = act.registry;
  const [typed, setTyped] = useState(filter.q ?? "");
  if (!collection) return null;
  const { workflow, fields } = collection.layer;
  const labelOf = (name: string) => fields.find((field) => field.name === name);
  const stateField = labelOf(workflow?.state ?? "");
  const parts: [string, string, () => void][] = [];
  const without = (part: Partial<typeof filter>) => () => { act.registry.show({ filter: { ...filter, ...part } }); };
  if (filter.state !== null) parts.push(["state", text.try(`state_${filter.state}`, text.label(stateField?.codes, filter.state)), without({ state: null })]);
  if (filter.missing !== null) parts.push(["missing", workflow?.gaps?.find((gap) => gap.id === filter.missing)?.label[state.lang] ?? filter.missing, without({ missing: null })]);
  if (filter.area !== null) parts.push(["area", filter.area === "" ? text.t("area_none") : filter.area, without({ area: null })]);
  for (const [name, value] of Object.entries(filter.fields)) {
    const field = labelOf(name);
    const rest = Object.fromEntries(Object.entries(filter.fields).filter(([one]) => one !== name));
    const words = name === "flags" ? text.try(`flag_${value}`, value) : `${field?.label[state.lang] ?? name}: ${text.label(field?.codes, value)}`;
    parts.push([name, words, without({ fields: rest })]);
  }
  const ask = () => {
    const q = typed.trim() === "" ? null : typed.trim();
    if (q !== filter.q) act.registry.show({ filter: { ...filter, q } });
  };
  return (
    <div class="filters">
      <form
        role="search" onSubmit={(event) => {
          event.preventDefault();
          ask();
        }}
      >
        <input type="search" aria-label={text.t("filter_name")} placeholder={text.t("filter_name")} value={typed} maxLength={100} onInput={(event) => { setTyped(event.currentTarget.value); }} onBlur={ask} />
      </form>
      {filter.fields.flags === undefined && (
        <select aria-label={text.t("filter_flag")} value="" onChange={(event) => { act.registry.show({ filter: { ...filter, fields: { ...filter.fields, flags: event.currentTarget.value } } }); }}>
          <option value="">{text.t("filter_flag")}</option>
          {FLAGS.map((flag) => <option key={flag} value={flag}>{text.try(`flag_${flag}`, flag)}</option>)}
        </select>
      )}
      {parts.map(([id, label, remove]) => (
        <span key={id} class="chip filter">{label}<button type="button" aria-label={text.t("filter_remove", { name: label })} onClick={remove}>✕</button></span>
      ))}
      {act.registry.isFiltered && <button type="button" class="link" onClick={() => { setTyped(""); act.registry.show({ filter: noFilter }); }}>{text.t("filter_none")}</button>}
    </div>
  );
}
