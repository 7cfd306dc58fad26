import { useState } from "preact/hooks";
import { Problem } from "../api";
import { useApp } from "../context";
import { Dialog } from "./dialog";
import { deleteItem, readItem, reasonOf } from "./requests";
import { deleted } from "./written";
import { useWords } from "./words";

interface Props {
  layer: string;
  fid: number;
  name: string;
  etag: string | null;
  onClose: () => void;
  onDeleted: () => void;
}

/** Asks before an item is deleted, and why. */
export function DeleteDialog({ layer, fid, name, etag, onClose, onDeleted }: Props) {
  const { act } = useApp();
  const say = useWords();
  const [reason, setReason] = useState("");
  const [tag, setTag] = useState(etag);
  const [wrong, setWrong] = useState("");
  const remove = async () => {
    if (reason.trim() === "") {
      setWrong(say("delete_reason_needed"));
      document.getElementById("delete-reason")?.focus();
      return;
    }
    try {
      await deleteItem(layer, fid, tag ?? (await readItem(layer, fid)).etag, reason.trim());
      onDeleted();
      act.select(null);
      deleted(act, say, layer, fid);
    } catch (error) {
      if (error instanceof Problem && error.status === 412) {
        setWrong(say("delete_lost"));
        setTag(null);
      } else setWrong(reasonOf(error));
    }
  };
  return (
    <Dialog title={say("delete_title", { name })} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void remove();
        }}
      >
        <p>{say("delete_text")}</p>
        <div class={wrong === "" ? "field" : "field bad"}>
          <div class="field-label"><label for="delete-reason">{say("delete_reason")}</label></div>
          <input id="delete-reason" type="text" autofocus autocomplete="off" maxLength={500} value={reason} aria-invalid={wrong !== ""} aria-describedby="delete-wrong" onInput={(event) => { setReason(event.currentTarget.value); setWrong(""); }} />
          <p class="wrong" id="delete-wrong" role="alert">{wrong}</p>
        </div>
        <p class="actions">
          <button type="submit" class="danger">{say("delete")}</button>
          <button type="button" onClick={onClose}>{say("cancel")}</button>
        </p>
      </form>
    </Dialog>
  );
}
