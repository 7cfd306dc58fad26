import type { AreaCount, Filter } from "../api";
import { useApp } from "../context";
import { startCreate } from "../edit";
import { Popup } from "../panels/popup";
import { Export } from "./export";
import { SampleChip } from "./sample_chip";

/** A number that opens its list; it is not known while it is being asked for. */
function Figure({ label, value, filter }: { label: string; value: number | undefined; filter: Partial<Filter> | null }) {
  const { act, text } = useApp();
  return (
    <button type="button" class="figure" disabled={value === undefined} onClick={() => { act.registry.list(filter ?? {}); }}>
      <b class="digits">{value === undefined ? "–" : text.n(value)}</b>
      <span>{label}</span>
    </button>
  );
}

/** The numbers of the loop: what is overdue, which should be none, and the rest. */
function Figures() {
  const { act, state, text } = useApp();
  const { value } = state.board;
  const counts = value?.counts;
  const workflow = act.registry.collection?.layer.workflow;
  const overdue = counts?.overdue;
  return (
    <div class="figures">
      <button type="button" class={overdue === 0 ? "overdue calm" : "overdue"} disabled={overdue === undefined} onClick={() => { act.registry.list({ state: "overdue" }); }}>
        <b class="digits">{overdue === undefined ? "–" : text.n(overdue)}</b>
        <span><strong>{text.t("overdue_open")}</strong><small>{text.t("zero_target")}</small></span>
      </button>
      <Figure label={text.t("registered")} value={counts?.registered} filter={{ fields: Object.fromEntries(Object.entries(workflow?.when ?? {}).map(([name, one]) => [name, String(one)])) }} />
      <Figure label={text.t("state_open")} value={counts?.open} filter={{ state: "open" }} />
      <Figure label={text.t("state_closed_this_month")} value={counts?.closed_this_month} filter={{ state: "closed_this_month" }} />
      {workflow?.grade && <Figure label={text.t("state_grade_unknown")} value={counts?.grade_unknown} filter={{ state: "grade_unknown" }} />}
    </div>
  );
}

/** One number of the table of areas, and the list behind it. */
function AreaFigure({ area, value, list, danger }: { area: AreaCount; value: number; list: string; danger?: boolean }) {
  const { act, text } = useApp();
  const name = area.name ?? text.t("area_none");
  if (value === 0) return <td class="digits">0</td>;
  return (
    <td class="digits">
      <button type="button" class={danger ? "link danger" : "link"} aria-label={`${name} ${text.try(`state_${list}`, list)} ${value}`} onClick={() => { act.registry.list({ state: list, area: area.name ?? "" }); }}>{text.n(value)}</button>
    </td>
  );
}

function Areas({ areas }: { areas: AreaCount[] }) {
  const { text } = useApp();
  return (
    <Popup label={text.t("by_area")} class="areas">
      <table class="area-table">
        <thead><tr><th scope="col">{text.t("area")}</th><th scope="col">{text.t("state_open")}</th><th scope="col">{text.t("state_overdue")}</th><th scope="col">{text.t("state_closed_this_month")}</th></tr></thead>
        <tbody>
          {areas.map((area) => (
            <tr key={area.name ?? ""}>
              <th scope="row">{area.name ?? text.t("area_none")}</th>
              <AreaFigure area={area} value={area.open} list="open" />
              <AreaFigure area={area} value={area.overdue} list="overdue" danger />
              <AreaFigure area={area} value={area.closed_this_month} list="closed_this_month" />
            </tr>
          ))}
        </tbody>
      </table>
    </Popup>
  );
}

/** What is missing from the register, each with its list. */
function Gaps() {
  const { act, state, text } = useApp();
  const { value } = state.board;
  if (!value || value.counts.registered === 0) return null;
  const persons = value.threatened_persons;
  return (
    <div class="gaps">
      <span class="muted">{text.t("gaps")}</span>
      <ul>
        <li>
          {value.counts.deadline_unknown === 0
            ? <span class="muted">{text.t("state_deadline_unknown")} 0</span>
            : <button type="button" class="link" onClick={() => { act.registry.list({ state: "deadline_unknown" }); }}>{text.t("state_deadline_unknown")} <b class="digits">{text.n(value.counts.deadline_unknown)}</b></button>}
        </li>
        {value.gaps.map(({ id, label, count, unknown }) => (
          <li key={id}>
            {count === 0
              ? <span class="muted">{label[state.lang]} 0</span>
              : (
                <button type="button" class="link" onClick={() => { act.registry.list({ missing: id }); }}>
                  {label[state.lang]} <b class="digits">{text.n(count)}</b>{unknown > 0 && <span class="muted">{unknown === count ? text.t("gap_all_unfilled") : text.t("gap_unfilled", { n: unknown })}</span>}
                </button>
              )}
          </li>
        ))}
      </ul>
      <span class="space" />
      <SampleChip />
      {persons && (
        <span class="muted">
          {persons.sum === null ? text.t("threatened_unknown") : text.t("threatened", { n: persons.sum })}
          {persons.unknown > 0 && ` · ${text.t("sum_unknown", { n: persons.unknown })}`}
        </span>
      )}
      <Areas areas={value.by_area} />
    </div>
  );
}

/** The head of the registry: the numbers of the layer, how it is shown, what can be added. */
export function RegistryHead() {
  const { act, state, text } = useApp();
  const { registry } = act;
  const { collection, views, view } = registry;
  if (!collection) return null;
  const loop = Boolean(collection.layer.workflow);
  const edit = act.can(collection.id).edit;
  return (
    <header class="registry-head" data-region="registry">
      <div class="registry-line">
        {loop ? <Figures /> : <div class="figures"><p class="figure plain-figure"><b class="digits">{text.n(collection.counts.real + collection.counts.sample)}</b><span>{text.t("registered")}</span></p></div>}
        <span class="space" />
        <label class="layer-choice">
          <span class="away">{text.t("layer")}</span>
          <select value={collection.id} onChange={(event) => { registry.show({ layer: event.currentTarget.value }); }}>
            {registry.layers.map((one) => <option key={one.id} value={one.id}>{one.titles[state.lang]}</option>)}
          </select>
        </label>
        <div class="segments" role="group" aria-label={text.t("shown_as")}>
          {views.map((one) => <button key={one} type="button" aria-pressed={one === view} onClick={() => { registry.show({ view: one }); }}>{text.t(`view_${one}`)}</button>)}
        </div>
        {!state.phone && <Export />}
        {edit && !state.phone && <button type="button" onClick={() => { act.startImport(collection.id); }}>{text.t("import")}</button>}
        {edit && <button type="button" class="primary" onClick={() => { startCreate(act, collection.id); }}>{text.t("add")}</button>}
      </div>
      {state.board.status === "failed" && loop && (
        <p class="problem" role="alert">{text.t("failed")}: {state.board.error} <button type="button" class="link" onClick={() => { void registry.loadBoard(); }}>{text.t("retry")}</button></p>
      )}
      {loop && view === "board" && <Gaps />}
    </header>
  );
}
