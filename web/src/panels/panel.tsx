import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { useApp } from "../context";
import { EditPanel } from "../edit";
import { ImportPanel, RegistryList } from "../registry";
import { rankedIn } from "../rows";
import type { Sheet } from "../state";
import { Card } from "./card";
import { Incident } from "./incident";
import { InView } from "./in_view";

const SHEETS: Sheet[] = ["low", "half", "full"];

const LOW_PX = 120;
/** Handle, head and buttons of a form. */
const LOW_WITH_FORM_PX = 152;

/** Height of the sheet in CSS pixels. */
export function sheetHeight(sheet: Sheet, window_px: number, form = false): number {
  return sheet === "low" ? (form ? LOW_WITH_FORM_PX : LOW_PX) : sheet === "half" ? Math.round(window_px * 0.45) : window_px - 64;
}

/** The phone's sheet: dragged, or stepped by its handle. */
function Handle() {
  const { act, state, text } = useApp();
  const drag = useRef<{ from: number; moved: boolean } | null>(null);
  const step = (by: number) => { act.setSheet(SHEETS[Math.min(2, Math.max(0, SHEETS.indexOf(state.sheet) + by))] ?? "half"); };
  return (
    <button
      type="button" class="handle" aria-label={text.t(state.sheet === "full" ? "sheet_smaller" : "sheet_bigger")} aria-expanded={state.sheet !== "low"}
      onPointerDown={(event) => { drag.current = { from: event.clientY, moved: false }; event.currentTarget.setPointerCapture(event.pointerId); }}
      onPointerMove={(event) => { if (drag.current && Math.abs(event.clientY - drag.current.from) > 24) drag.current.moved = true; }}
      onPointerUp={(event) => {
        const { from, moved } = drag.current ?? { from: 0, moved: false };
        if (moved) step(event.clientY < from ? 1 : -1);
      }}
      onClick={() => {
        const moved = drag.current?.moved;
        drag.current = null;
        if (!moved) act.setSheet(state.sheet === "low" ? "half" : state.sheet === "half" ? "full" : "low");
      }}
    ><i /></button>
  );
}

function Frame({ children }: { children: ComponentChildren }) {
  const { state, text } = useApp();
  return (
    <aside class={`panel sheet-${state.sheet}`} data-region="panel" aria-label={text.t("panel")} tabIndex={-1}>
      {state.phone && <Handle />}
      {children}
    </aside>
  );
}

/** The one left panel: what is edited or imported, the card of what is selected, or the incident, or a list. */
export function Panel() {
  const { act, state } = useApp();
  const { incident, selected, editing, importing } = state;
  if (editing) return <Frame><EditPanel key={`${editing.layer}.${editing.fid ?? "new"}`} {...editing} /></Frame>;
  if (importing !== null) return <Frame><ImportPanel layer={importing} /></Frame>;
  if (act.shown === "registry") return <Frame>{selected ? <Card /> : <RegistryList />}</Frame>;
  const inList = selected !== null && incident !== null && [...rankedIn(state), ...(state.answer.value?.skipped ?? [])].some((one) => String(one.id) === `${selected.layer}.${selected.fid}`);
  const waiting = incident !== null && state.answer.status === "loading" && !state.answer.value;
  return <Frame>{selected && !inList && !waiting ? <Card /> : incident ? <Incident /> : <InView />}</Frame>;
}
