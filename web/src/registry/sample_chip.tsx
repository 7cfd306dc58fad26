import { useApp } from "../context";

/** Says that what is shown is sample data, all of it or some. */
export function SampleChip() {
  const { act, text } = useApp();
  const counts = act.registry.collection?.counts;
  if (!counts?.sample) return null;
  return <span class="chip stale" role="note">{text.t(counts.real > 0 ? "sample_some" : "sample_notice")}</span>;
}
