/** What follows a write: card, lists and map show it, and a notice offers to take it back. */
import { Problem } from "../api";
import type { Controller } from "../controller";
import { fidOf } from "../registry/control";
import { notify } from "./notice";
import type { ItemRef } from "../url";
import { deleteItem, readHistory, reasonOf, restoreItem, type Tagged } from "./requests";
import type { Say } from "./words";

/** Writes the state before the latest change of an item as a new change. */
async function takeBack(layer: string, fid: number, etag: string | null): Promise<void> {
  const [latest] = await readHistory(layer, fid);
  if (latest?.version) await restoreItem(layer, fid, latest.version - 1, etag, "");
}

/** A notice that something was written, whose button undoes it. */
function offerUndo(act: Controller, say: Say, item: ItemRef, text: string, undo: () => Promise<void>): void {
  notify(act, text, async () => {
    try {
      await undo();
      act.itemChanged(item);
      notify(act, say("undone"));
    } catch (error) {
      const lost = error instanceof Problem && error.status === 412;
      notify(act, lost ? say("undo_lost") : say("undo_failed", { reason: reasonOf(error) }));
    }
  });
}

export function saved(act: Controller, say: Say, layer: string, { feature, etag }: Tagged, text = say("saved")): void {
  const fid = fidOf(feature);
  act.itemChanged({ layer, fid });
  offerUndo(act, say, { layer, fid }, text, () => takeBack(layer, fid, etag));
}

export function created(act: Controller, say: Say, layer: string, { feature, etag }: Tagged): void {
  const fid = fidOf(feature);
  act.itemChanged({ layer, fid });
  offerUndo(act, say, { layer, fid }, say("created"), async () => {
    await deleteItem(layer, fid, etag, "");
    if (act.state.selected?.layer === layer && act.state.selected.fid === fid) act.select(null);
  });
}

export function deleted(act: Controller, say: Say, layer: string, fid: number): void {
  act.itemChanged({ layer, fid });
  offerUndo(act, say, { layer, fid }, say("deleted"), () => takeBack(layer, fid, null));
}
