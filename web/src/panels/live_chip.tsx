import { useEffect, useState } from "preact/hooks";
import { useApp } from "../context";

/** Whether the map follows the changes of others, or since when it does not. */
export function LiveChip() {
  const { state, text } = useApp();
  const { tilesAsOf } = state;
  const on = state.live.on && tilesAsOf === null;
  const since = tilesAsOf ?? state.live.since;
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => { setNow(Date.now()); }, 20_000);
    return () => { clearInterval(timer); };
  }, []);
  if (state.asOf !== null || since === null) return null;
  return on
    ? <span class="live on" title={text.t("live_title")}><i aria-hidden="true" />{text.t("live", { t: text.clock(Math.max(now, since)) })}</span>
    : <span class="live off" role="status"><i aria-hidden="true" />{text.t("live_off", { t: text.clock(since) })}</span>;
}
