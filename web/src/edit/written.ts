/** What follows a write: card, lists and map show it, and a notice offers to take it back. */
import { Problem, type Properties } from "../api";
import type { Controller } from "../controller";
import { fidOf } from "../registry/control";
import { notify } from "./notice";
import { type BatchItem, deleteItem, patchItem, patchItems, readHistory, reasonOf, restoreItem, type Tagged, undoImport } from "./requests";
import type { Say } from "./words";

/** Writes the state before the latest change of an item as a new change. */
async function takeBack(layer: string, fid: number, etag: string | null): Promise<void> {
  const [latest] = await readHistory(layer, fid);
  if (latest?.version) await restoreItem(layer, fid, latest.version - 1, etag, "");
}

/** A notice that something was written, whose button undoes it. */
function offerUndo(act: Controller, say: Say, show: () => void, text: string, undo: () => Promise<void>): void {
  notify(act, text, async () => {
    try {
      await undo();
      show();
      notify(act, say("undone"));
    } catch (error) {
      const lost = error instanceof Problem && error.status === 412;
      notify(act, lost ? say("undo_lost") : say("undo_failed", { reason: reasonOf(error) }));
    }
  });
}

export function saved(act: Controller, say: Say, layer: string, { feature, etag }: Tagged, text = say("saved")): void {
  const fid = fidOf(feature);
  const show = () => { act.itemChanged({ layer, fid }); };
  show();
  offerUndo(act, say, show, text, () => takeBack(layer, fid, etag));
}

/** A monitoring number was stated; taken back by stating what stood there before, which needs no more than the right to state. */
export function stated(act: Controller, say: Say, layer: string, { feature, etag }: Tagged, before: Properties): void {
  const fid = fidOf(feature);
  const show = () => { act.itemChanged({ layer, fid }); };
  show();
  offerUndo(act, say, show, say("saved"), async () => { await patchItem(layer, fid, { properties: before }, etag); });
}

export function created(act: Controller, say: Say, layer: string, { feature, etag }: Tagged): void {
  const fid = fidOf(feature);
  const show = () => { act.itemChanged({ layer, fid }); };
  show();
  offerUndo(act, say, show, say("created"), async () => {
    await deleteItem(layer, fid, etag, "");
    if (act.state.selected?.layer === layer && act.state.selected.fid === fid) act.select(null);
  });
}

export function deleted(act: Controller, say: Say, layer: string, fid: number): void {
  const show = () => { act.itemChanged({ layer, fid }); };
  show();
  offerUndo(act, say, show, say("deleted"), () => takeBack(layer, fid, null));
}

/** Fields were set on many items; `back` sets on each what stood there before. */
export function setMany(act: Controller, say: Say, layer: string, back: BatchItem[], text: string): void {
  const show = () => { act.itemChanged({ layer, fid: null }); };
  show();
  offerUndo(act, say, show, text, async () => { await patchItems(layer, back, ""); });
}

/** Rows were imported; taken back as a whole. */
export function imported(act: Controller, say: Say, layer: string, id: number, text: string): void {
  const show = () => { act.itemChanged({ layer, fid: null }); };
  show();
  offerUndo(act, say, show, text, () => undoImport(id));
}
