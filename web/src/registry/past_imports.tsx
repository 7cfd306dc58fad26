import { useEffect, useState } from "preact/hooks";
import { useApp } from "../context";
import { Dialog } from "../edit/dialog";
import { member, reasonOf } from "../edit/requests";
import { getImports, type Import, undoImport } from "./imports";

interface TakeBackProps {
  id: number;
  layer: string;
  name: string;
  written: number;
  onClose: (done: boolean) => void;
}

/** Takes a whole import back, as one change, with a reason. */
export function TakeBack({ id, layer, name, written, onClose }: TakeBackProps) {
  const { act, text } = useApp();
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const [edited, setEdited] = useState(0);
  const submit = async () => {
    setBusy(true);
    setProblem("");
    try {
      const { left } = await undoImport(id, reason.trim(), edited > 0);
      act.itemChanged({ layer, fid: null });
      act.toast(text.t(left > 0 ? "import_taken_back_but" : "import_taken_back", { name, n: left }));
      onClose(true);
    } catch (error) {
      const count = member<number>(error, "count") ?? 0;
      setEdited(count);
      setProblem(count > 0 ? text.t("import_edited_since", { n: count }) : reasonOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={text.t("import_take_back_title", { name })} onClose={() => { onClose(false); }}>
      <form
        class="step" onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <p>{text.t("import_take_back_text", { n: written })}</p>
        <div class="field">
          <div class="field-label"><label for="take-back-reason">{text.t("reason")}</label></div>
          <input id="take-back-reason" type="text" autofocus maxLength={500} value={reason} onInput={(event) => { setReason(event.currentTarget.value); }} />
        </div>
        {problem !== "" && <p class="warning" role="alert">{problem}</p>}
        <p class="actions">
          <button type="submit" class="danger" disabled={busy}>{text.t(edited > 0 ? "import_take_back_others" : "import_take_back")}</button>
          <button type="button" onClick={() => { onClose(false); }}>{text.t("cancel")}</button>
        </p>
      </form>
    </Dialog>
  );
}

export const writtenBy = ({ counts }: Pick<Import, "counts">) => (counts?.imported ?? 0) + (counts?.updated ?? 0);

/** The source of the sample county, which `leeward demo --clear` takes away. */
const SAMPLE = "sample";

/** The imports that were made into a layer, the newest first; the sample county is none. */
export function PastImports({ layer }: { layer: string }) {
  const { act, text } = useApp();
  const [imports, setImports] = useState<Import[] | null>(null);
  const [failed, setFailed] = useState("");
  const [asked, setAsked] = useState<Import | null>(null);
  const load = () => {
    setFailed("");
    getImports(layer).then((all) => { setImports(all.filter((one) => one.source !== SAMPLE)); }, (error: unknown) => { setFailed(reasonOf(error)); });
  };
  useEffect(load, [layer]);
  return (
    <section class="past-imports">
      <h3>{text.t("imports_past")}</h3>
      {failed !== "" && <p class="problem" role="alert">{text.t("failed")}: {failed} <button type="button" class="link" onClick={load}>{text.t("retry")}</button></p>}
      {!imports && failed === "" && <div class="skeleton" aria-label={text.t("loading")}><i /><i /></div>}
      {imports?.length === 0 && <p class="muted">{text.t("imports_none")}</p>}
      <ul>
        {imports?.map((one) => {
          const name = one.file_name ?? text.t("number", { n: one.id });
          return (
            <li key={one.id} class={one.taken_back_at ? "import taken-back" : "import"}>
              <span><strong>{name}</strong><span class="muted">{[one.finished_at && text.time(one.finished_at), one.author].filter(Boolean).join(" · ")}</span></span>
              <span class="import-end">
                <span class="digits">{text.t("import_rows", { n: writtenBy(one) })}</span>
                {one.taken_back_at
                  ? <span class="chip">{text.t("import_was_taken_back")}</span>
                  : act.can(layer).edit && one.finished_at && writtenBy(one) > 0 && <button type="button" class="link" aria-label={`${text.t("import_take_back")}: ${name}`} onClick={() => { setAsked(one); }}>{text.t("import_take_back")}</button>}
              </span>
            </li>
          );
        })}
      </ul>
      {asked && (
        <TakeBack
          id={asked.id} layer={layer} name={asked.file_name ?? text.t("number", { n: asked.id })} written={writtenBy(asked)}
          onClose={(done) => {
            setAsked(null);
            if (done) load();
          }}
        />
      )}
    </section>
  );
}
