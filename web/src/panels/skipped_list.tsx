import { useState } from "preact/hooks";
import type { Closure, Skipped } from "../api";
import { useApp } from "../context";
import type { Text } from "../i18n";
import { closuresOf } from "../rows";
import { refOf, refText } from "../url";
import { ageOf } from "../values";
import { CardBody } from "./card";

const asNumber = (value: unknown): number | null => (typeof value === "number" ? value : null);
const asText = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** The label of a code of a layer's field. */
type LabelOf = (layer: string, field: string, code: string) => string;

/** Why it was not chosen, in words. */
function reasonText(item: Skipped, hazard: string, label: LabelOf, text: Text): string {
  const { layer, reason, evidence } = item;
  const seconds = item.travel_time_s ?? null;
  switch (reason) {
    case "unreachable":
      // Beyond the time within which the service searches, but not out of reach.
      if (seconds !== null) return text.t("reason_detour", { n: text.minutes(seconds) });
      if (evidence.cause === "too_far_from_road") return text.t("reason_too_far_from_road");
      if (evidence.cause === "incident_too_far_from_road") return text.t("reason_incident_too_far");
      return text.t(closuresOf(item).length > 0 ? "reason_cut" : "reason_unreachable");
    case "detour":
      return text.t("reason_detour", { n: text.minutes(seconds ?? 0) });
    case "slower":
      return seconds === null ? text.t("reason_slower_than", { n: text.minutes(asNumber(evidence.slower_than_s) ?? 0) }) : text.t("reason_slower", { n: text.minutes(seconds) });
    case "closed": {
      const status = asText(evidence.status);
      return status === null || status === "closed" ? text.t("reason_closed") : label(layer, "status", status);
    }
    case "unsuitable":
      return text.t("reason_unsuitable", { hazard });
    case "inside_hazard":
      return text.t("reason_inside_hazard");
    case "not_designated":
      return text.t("reason_not_designated");
    case "full": {
      const known = asNumber(evidence.places_persons) !== null;
      const [capacity, occupancy, wanted] = [asNumber(evidence.capacity_persons), known ? asNumber(evidence.occupancy_persons) : null, asNumber(evidence.places_wanted)];
      if (capacity === null) return text.t("reason_full");
      const left = capacity - (occupancy ?? 0);
      if (left > 0 && wanted !== null) return text.t("reason_room", { n: left, m: wanted });
      return text.t("reason_full_count", { a: text.n(occupancy ?? capacity), b: text.n(capacity) });
    }
  }
}

/** Why it is closed, since when, and until when as far as is known. */
export function closureText({ id, name, reason, effect, starts_at, ends_at }: Closure, nameOf: (id: string, name: string | null) => string, label: LabelOf, text: Text): string {
  const why = reason ? label(refOf(id)?.layer ?? "", "reason", reason) : null;
  const times = [starts_at && text.t("closure_from", { t: text.soon(starts_at) }), ends_at && text.t("closure_until", { t: text.soon(ends_at) })];
  const more = [why, effect === "slow" && text.t("closure_effect_slow"), ...times].filter(Boolean).join(text.lang === "zh" ? "，" : ", ");
  return `${nameOf(id, name)}${more === "" ? "" : text.lang === "zh" ? `（${more}）` : ` (${more})`}`;
}

/** What the reason rests on: zone, source and age. */
function evidenceText({ reason, evidence }: Skipped, label: LabelOf, sourceName: (id: string) => string, text: Text): string {
  const zone = asText(evidence.zone_name) ?? asText(evidence.zone_id);
  const grade = asText(evidence.risk_class);
  const zoneLayer = asText(evidence.zone_id)?.split(".")[0] ?? "";
  const age = (reason === "full" ? asNumber(evidence.occupancy_age_s) : null) ?? asNumber(evidence.age_s);
  const source = asText(evidence.source);
  return [zone, grade ? label(zoneLayer, "risk_class", grade) : null, source === null ? null : sourceName(source), age === null ? null : ageOf(age, text).text].filter((part) => part !== null).join(" · ");
}

interface SkippedListProps {
  items: Skipped[];
  title: "why_not" | "skipped_none_used" | "skipped_others";
  /** Whether the list starts open. */
  open: boolean;
}

/** Places that were not chosen, each with its reason and evidence. */
export function SkippedList({ items, title, open: startsOpen }: SkippedListProps) {
  const { act, state, text } = useApp();
  const chosen = state.selected !== null && items.some((item) => state.selected && refText(state.selected) === item.id);
  const [opened, setOpen] = useState(startsOpen);
  const open = opened || chosen;
  const hazard = state.hazard ? text.label(act.service.hazards, state.hazard) : text.t("this_hazard");
  const label = (layer: string, field: string, code: string) =>
    text.label(act.collection(layer)?.layer.fields.find((one) => one.name === field)?.codes, code);
  const closureName = (id: string, name: string | null) => act.nameOf({ id, properties: { name } }, refOf(id)?.layer ?? "");
  if (items.length === 0) return null;
  return (
    <li class="why">
      <button type="button" class="why-head" aria-expanded={open} onClick={() => { setOpen(!open); }}>
        <strong>{text.t(title, { n: items.length })}</strong>
        <span aria-hidden="true">{open ? "▴" : "▾"}</span>
      </button>
      {open && (
        <ul>
          {items.map((item) => {
            const selected = state.selected !== null && refText(state.selected) === item.id;
            const ifOpen = asNumber(item.evidence.travel_time_open_s);
            const closures = closuresOf(item).map((one) => closureText(one, closureName, label, text));
            const evidence = [...closures, ifOpen !== null && text.t("if_open", { n: text.minutes(ifOpen) }), evidenceText(item, label, (id) => act.collection(item.layer)?.sources.find((one) => one.id === id)?.name ?? id, text)].filter(Boolean).join(" · ");
            return (
              <li key={item.id} class={selected ? "skipped selected" : "skipped"}>
                <button
                  type="button" class="skipped-main" data-row={item.id} aria-expanded={selected}
                  onClick={() => { act.select(selected ? null : { layer: item.layer, fid: item.fid }, { geometry: item.geometry, fly: true }); }}
                >
                  <span class="skipped-name">
                    <strong>{act.nameOf({ id: item.id, properties: { name: item.name } }, item.layer)}</strong>
                    <span class="muted digits">{state.answer.value?.network ? text.t("straight_d", { d: text.distance(item.distance_m) }) : text.distance(item.distance_m)} {text.direction(item.bearing_deg)}</span>
                  </span>
                  <span class="skipped-why">
                    <span class={item.reason === "slower" ? "reason mild" : "reason"}>{reasonText(item, hazard, label, text)}</span>
                    {evidence !== "" && <span class="muted">{evidence}</span>}
                    {item.sample && <span class="chip sample">{text.t("sample")}</span>}
                  </span>
                </button>
                {selected && <div class="row-card"><CardBody /></div>}
              </li>
            );
          })}
        </ul>
      )}
    </li>
  );
}
