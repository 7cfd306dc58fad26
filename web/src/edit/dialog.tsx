import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { useEscape } from "./escape";
import { useWords } from "./words";

interface Props {
  title: string;
  wide?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

/** A modal dialog; the focus goes back to where it was. */
export function Dialog({ title, wide, onClose, children }: Props) {
  const say = useWords();
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => { shown?.close(); };
  }, []);
  useEscape(() => {
    onClose();
    return true;
  });
  return (
    <dialog ref={dialog} class={wide ? "edit-dialog wide" : "edit-dialog"} aria-labelledby={id} onCancel={(event) => { event.preventDefault(); }}>
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" class="icon-button" aria-label={say("close")} onClick={onClose}>✕</button>
      </header>
      {children}
    </dialog>
  );
}
