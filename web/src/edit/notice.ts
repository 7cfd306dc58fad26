/** What has just been written, with a button that takes it back. */
import type { Controller } from "../controller";
import { Store } from "../state";

export interface Notice {
  text: string;
  undo: (() => Promise<void>) | null;
}

const SHOWN_MS = 12_000;
let timer = 0;

export const notice = new Store<Notice | null>(null);

/** Shows a notice for a while, and says it. */
export function notify(act: Controller, text: string, undo: Notice["undo"] = null): void {
  clearTimeout(timer);
  notice.set({ text, undo });
  act.set({ said: text });
  timer = window.setTimeout(() => { notice.set(null); }, undo ? SHOWN_MS : SHOWN_MS / 3);
}

/** Keeps the notice for as long as somebody is at it. */
export const holdNotice = () => { clearTimeout(timer); };

export const dropNotice = () => {
  clearTimeout(timer);
  notice.set(null);
};
