import type { Reached } from "../api";
import { useApp } from "../context";

/** The people whom one band of time reaches. */
function Band({ name, of, band }: { name: string; of: Reached; band: number | null }) {
  const { text } = useApp();
  const { settlements, persons, persons_unknown: unknown } = of;
  return (
    <div class="reach-band" role="listitem">
      <dt>{band !== null && <i class={`reach-${band}`} aria-hidden="true" />}{name}</dt>
      <dd>
        {settlements === 0 ? text.t("reach_nobody") : persons === null ? text.t("reach_unknown") : text.t("persons_n", { n: persons })}
        {unknown > 0 && persons !== null && <small>{text.t("reach_also_unknown", { n: unknown })}</small>}
      </dd>
    </div>
  );
}

/** The ground that is reached from the incident by road, and how many people live there. */
export function Reach() {
  const { act, state, text } = useApp();
  const { area, reach, by } = state;
  if (!reach || by !== "road") return null;
  if (area.status === "failed") {
    return (
      <p class="problem" role="alert">
        {text.t("failed")}: {area.error} <button type="button" class="link" onClick={() => { void act.askArea(true); }}>{text.t("retry")}</button>
      </p>
    );
  }
  if (!area.value) return <p class="muted" aria-busy="true">{text.t("loading")}</p>;
  const minutes = (seconds: number) => Math.round(seconds / 60);
  return (
    <dl class={area.status === "loading" ? "reach old" : "reach"} role="list" aria-label={text.t("reach_of")} aria-busy={area.status === "loading"}>
      {area.value.features.map(({ properties }, band) => (
        <Band key={band} band={band} of={properties} name={text.t("reach_band", { a: minutes(properties.from_s), b: minutes(properties.to_s) })} />
      ))}
      <Band band={null} of={area.value.beyond} name={text.t("reach_beyond")} />
    </dl>
  );
}
