import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { useEscape } from "../edit/escape";

interface Props {
  label: ComponentChildren;
  class?: string;
  children: ComponentChildren | ((close: () => void) => ComponentChildren);
}

/** A button that opens a small panel under it; Escape, or going elsewhere, closes it. */
export function Popup({ label, class: name = "", children }: Props) {
  const [open, setOpen] = useState(false);
  const holder = useRef<HTMLDivElement>(null);
  const close = () => {
    setOpen(false);
    holder.current?.querySelector<HTMLElement>("button")?.focus();
  };
  useEscape(() => {
    close();
    return true;
  }, open);
  return (
    <div class={`opens ${name}`} ref={holder} onFocusOut={(event) => { if (event.relatedTarget && !holder.current?.contains(event.relatedTarget as Node)) setOpen(false); }}>
      <button type="button" aria-expanded={open} onClick={() => { setOpen(!open); }}>{label} <span aria-hidden="true">{open ? "▴" : "▾"}</span></button>
      {open && <div class="popup">{typeof children === "function" ? children(close) : children}</div>}
    </div>
  );
}
