import { useState } from "preact/hooks";
import { Problem } from "../api";
import { useApp } from "../context";
import { patchItem, readItem, reasonOf } from "./requests";
import { saved } from "./written";
import { useWords } from "./words";

/** The button that lets a closure end now; where an answer stands, its new order is shown. */
export function EndClosure({ layer, fid }: { layer: string; fid: number }) {
  const { act, text } = useApp();
  const say = useWords();
  const [busy, setBusy] = useState(false);
  const end = async () => {
    setBusy(true);
    try {
      const { etag } = await readItem(layer, fid);
      const written = await patchItem(layer, fid, { properties: { ends_at: new Date().toISOString() } }, etag);
      if (act.answered) act.select(null);
      saved(act, say, layer, written, text.t("closure_ended"));
    } catch (error) {
      const lost = error instanceof Problem && error.status === 412;
      act.toast(text.t("closure_not_ended", { reason: lost ? say("undo_lost") : reasonOf(error) }));
    } finally {
      setBusy(false);
    }
  };
  return <button type="button" class="danger" disabled={busy} onClick={() => { void end(); }}>{text.t("end_closure")}</button>;
}
