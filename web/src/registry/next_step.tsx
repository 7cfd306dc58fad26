import { useState } from "preact/hooks";
import { useApp } from "../context";
import type { ItemRef } from "../url";
import { StepDialog } from "./step_dialog";

/** The button that opens an item's next step. */
export function NextStep({ layer, fid }: ItemRef) {
  const { text } = useApp();
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="primary" onClick={() => { setOpen(true); }}>{text.t("next_step")}</button>
      {open && <StepDialog layer={layer} fid={fid} onClose={() => { setOpen(false); }} />}
    </>
  );
}
