import { useState } from "preact/hooks";
import { dropNotice, holdNotice, type Notice } from "./notice";
import { useWords } from "./words";

/** What has just been written, and the button that takes it back. */
export function NoticeBar({ notice: { text, undo } }: { notice: Notice }) {
  const say = useWords();
  const [busy, setBusy] = useState(false);
  const run = async () => {
    if (!undo) return;
    setBusy(true);
    await undo();
    setBusy(false);
  };
  return (
    <p class="toast notice" onMouseEnter={holdNotice} onFocusIn={holdNotice}>
      <span>{text}</span>
      {undo && <button type="button" disabled={busy} onClick={() => { void run(); }}>{say("undo")}</button>}
      {undo && <button type="button" class="icon-button" aria-label={say("close")} onClick={dropNotice}>✕</button>}
    </p>
  );
}
