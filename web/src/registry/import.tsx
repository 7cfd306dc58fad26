import { useEffect, useRef, useState } from "preact/hooks";
import type { Collection } from "../api";
import { useApp } from "../context";
import { editable } from "../edit/form";
import { useEscape } from "../edit/escape";
import { positions } from "../geometry";
import { commitImport, type DatumFit, type Progress, refusedTrial, type Reject, rejectsAddress, type Report, type Trial, tryAgain, tryFile } from "./imports";
import { PastImports, TakeBack } from "./past_imports";
import { isOfDatum, refusalOf, sentence } from "./reasons";

const ACCEPTED = ".csv,.xlsx,.xls,.geojson,.json,.gpkg,.zip";
const CRS = ["EPSG:4326", "EPSG:4490", "GCJ-02", "BD-09"];
const REJECTS_SHOWN = 200;
const WAIT_MS = 400;
/** A column that is left out. */
const LEFT_OUT = "-";

/** The parts of a position that a column can be taken for. */
const POSITION = ["x", "y", "wkt"] as const;

/** The steps of an import, and which one it is at. */
function Steps({ at }: { at: number }) {
  const { text } = useApp();
  const names = [text.t("import_step_file"), text.t("import_step_columns"), text.t("import_step_check"), text.t("import_step_done")];
  return <ol class="import-steps">{names.map((name, index) => <li key={name} class={index < at ? "past" : ""} aria-current={index === at ? "step" : undefined}><b>{index + 1}</b> {name}</li>)}</ol>;
}

/** Where a file is dropped or chosen. */
function DropZone({ onFile }: { onFile: (file: File) => void }) {
  const { text } = useApp();
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  return (
    <div
      class={over ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => { setOver(false); }}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const file = event.dataTransfer?.files[0];
        if (file) onFile(file);
      }}
    >
      <p><strong>{text.t("import_drop")}</strong></p>
      <p class="muted">{text.t("import_kinds")}</p>
      <button type="button" class="primary" onClick={() => { input.current?.click(); }}>{text.t("import_choose")}</button>
      <input
        ref={input} type="file" class="away" tabIndex={-1} accept={ACCEPTED} aria-label={text.t("import_choose")}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) onFile(file);
        }}
      />
    </div>
  );
}

interface ColumnsProps {
  collection: Collection;
  trial: Trial;
  map: Record<string, string>;
  onMap: (heading: string, field: string) => void;
}

/** Each heading of the file, and what it is taken for. */
function Columns({ collection, trial, map, onMap }: ColumnsProps) {
  const { state, text } = useApp();
  const fields = editable(collection.layer);
  const takenFor = (heading: string) => map[heading] ?? trial.columns[heading] ?? LEFT_OUT;
  const unknown = trial.headings.filter((heading) => takenFor(heading) === LEFT_OUT && map[heading] !== LEFT_OUT);
  const missing = fields.filter((field) => field.required && !trial.headings.some((heading) => takenFor(heading) === field.name) && (field.default ?? null) === null);
  return (
    <>
      <p class="muted">{text.t("import_columns_text", { n: trial.headings.length - unknown.length, m: trial.headings.length })}</p>
      {missing.length > 0 && <p class="restored">{text.t("import_columns_missing", { names: missing.map((field) => field.label[state.lang]).join(state.lang === "zh" ? "、" : ", ") })}</p>}
      <table class="columns-table">
        <thead><tr><th scope="col">{text.t("import_heading")}</th><th scope="col">{text.t("import_field")}</th></tr></thead>
        <tbody>
          {trial.headings.map((heading) => {
            const taken = takenFor(heading);
            const guess = unknown.includes(heading);
            const known = taken === LEFT_OUT || fields.some((field) => field.name === taken) || POSITION.some((one) => one === taken);
            return (
              <tr key={heading} class={guess ? "unmatched" : ""}>
                <th scope="row">{heading}</th>
                <td>
                  <select aria-label={text.t("import_field_of", { heading })} value={taken} onChange={(event) => { onMap(heading, event.currentTarget.value); }}>
                    <option value={LEFT_OUT}>{text.t("import_left_out")}</option>
                    {!known && <option value={taken}>{taken}</option>}
                    {collection.layer.geometry !== "none" && POSITION.map((one) => <option key={one} value={one}>{text.t(`import_${one}`)}</option>)}
                    {fields.map((field) => <option key={field.name} value={field.name}>{field.label[state.lang]}</option>)}
                  </select>
                  {guess && <span class="chip unknown">{text.t("import_unmatched")}</span>}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </>
  );
}

/** Says when the points fit better under another datum, and offers to read them so. */
function DatumWarning({ fit, onCrs }: { fit: DatumFit; onCrs: (crs: string) => void }) {
  const { text } = useApp();
  const better = fit.verdict.startsWith("better:") ? fit.verdict.slice(7).trim() : null;
  const percent = (share: number | undefined) => (share === undefined ? text.t("unknown") : `${Math.round(share * 100)} %`);
  if (fit.verdict === "cannot tell") return <p class="muted">{text.t("datum_unclear", { n: fit.n })}</p>;
  if (better === null) return <p class="muted">{text.t("datum_fits", { datum: fit.read_as, share: percent(fit.shares[fit.read_as]), n: fit.n })}</p>;
  return (
    <div class="restored" role="alert">
      <p><strong>{text.t("datum_better", { datum: better })}</strong></p>
      <p>{text.t("datum_shares", { better, a: percent(fit.shares[better]), other: fit.read_as, b: percent(fit.shares[fit.read_as]), n: fit.n })}</p>
      <p class="actions"><button type="button" onClick={() => { onCrs(better === "WGS 84" ? "EPSG:4326" : better); }}>{text.t("datum_take", { datum: better })}</button></p>
    </div>
  );
}

function Counts({ report }: { report: Report }) {
  const { text } = useApp();
  const parts = [["imported", report.imported], ["updated", report.updated], ["unchanged", report.unchanged], ["rejected", report.rejected]] as const;
  return (
    <dl class="import-counts">
      {parts.map(([name, n]) => <div key={name} class={name === "rejected" && n > 0 ? "bad" : ""}><dt>{text.t(`import_${name}`)}</dt><dd class="digits">{text.n(n)}</dd></div>)}
    </dl>
  );
}

function Rejects({ trial }: { trial: Trial }) {
  const { text } = useApp();
  const { rejected, report } = trial;
  if (report.rejected === 0) return null;
  const cell = (one: Reject): string => {
    const value = one.column === null ? null : one.cells?.[trial.headings.indexOf(one.column)];
    return value === null || value === undefined ? "" : String(value);
  };
  return (
    <section class="rejects">
      <p class="rejects-head"><strong>{text.t("rejects", { n: report.rejected })}</strong> <a class="button" href={rejectsAddress(trial.id)} download>{text.t("rejects_file")}</a></p>
      <p class="muted">{text.t("rejects_text")}</p>
      <table>
        <thead><tr><th scope="col">{text.t("reject_row")}</th><th scope="col">{text.t("reject_column")}</th><th scope="col">{text.t("reject_reason")}</th></tr></thead>
        <tbody>
          {rejected.slice(0, REJECTS_SHOWN).map((one, index) => (
            <tr key={index}>
              <td class="digits">{one.row}</td>
              <td>{one.column}{cell(one) !== "" && <><br /><span class="muted">{cell(one)}</span></>}</td>
              <td>{sentence(one.reason, text.lang)}{one.proposal && <><br /><span class="proposal">{text.t("reject_proposal", { proposal: one.proposal })}</span></>}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {report.rejected > Math.min(rejected.length, REJECTS_SHOWN) && <p class="muted">{text.t("rejects_more", { n: report.rejected - Math.min(rejected.length, REJECTS_SHOWN) })}</p>}
    </section>
  );
}

/** What the service noticed besides: doubtful values, cells that could not be read. */
function Remarks({ report }: { report: Report }) {
  const { text } = useApp();
  const flags = Object.entries(report.flags ?? {}).filter(([flag]) => flag !== "unread");
  const notes = (report.notes ?? []).filter((note) => !report.datum || !isOfDatum(note));
  const unread = Object.entries(report.unread ?? {});
  return (
    <>
      {flags.length > 0 && <p class="chips">{flags.map(([flag, n]) => <span key={flag} class="chip stale">{text.try(`flag_${flag}`, flag)} {n}</span>)}</p>}
      {unread.length > 0 && <p class="muted">{text.t("import_unread", { names: unread.map(([heading, n]) => `${heading} (${n})`).join(", ") })}</p>}
      {notes.length > 0 && <ul class="muted">{notes.map((note) => <li key={note}>{sentence(note, text.lang)}</li>)}</ul>}
    </>
  );
}

/** From a file to rows of a layer: what its columns mean, what would become of each row, and only then the writing. */
export function ImportPanel({ layer }: { layer: string }) {
  const { act, state, text } = useApp();
  const collection = act.collection(layer);
  const [file, setFile] = useState<File | null>(null);
  const [crs, setCrs] = useState<string | null>(null);
  const [onConflict, setOnConflict] = useState<"skip" | "update">("skip");
  const [map, setMap] = useState<Record<string, string>>({});
  const [sheet, setSheet] = useState<string | null>(null);
  const [trial, setTrial] = useState<Trial | null>(null);
  const [work, setWork] = useState<{ stage: Parameters<Progress>[0]; ratio: number } | null>(null);
  const [problem, setProblem] = useState("");
  const [step, setStep] = useState(0);
  const [done, setDone] = useState<Report | null>(null);
  const [takingBack, setTakingBack] = useState(false);
  const [takenBack, setTakenBack] = useState(false);
  const [tries, setTries] = useState(0);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => { heading.current?.focus({ preventScroll: true }); }, [step]);
  const leave = () => { act.endImport(); };
  useEscape(() => {
    if (step === 0 || done) leave();
    else setStep(step - 1);
    return true;
  });

  // The file is looked at anew whenever what is known of it changes.
  useEffect(() => {
    if (!file || done) return;
    const control = new AbortController();
    const progress: Progress = (stage, ratio) => { setWork({ stage, ratio }); };
    const reading = { crs, on_conflict: onConflict, sheet, map };
    const timer = setTimeout(() => {
      setProblem("");
      progress("sending", 0);
      const tried = trial ? tryAgain(trial.id, reading, progress, control.signal) : tryFile(layer, reading, file, progress, control.signal);
      tried.then(
        (tried) => {
          setTrial(tried);
          setWork(null);
          setStep((now) => Math.max(1, now));
          act.set({ said: text.t("import_said", { n: tried.report.imported + tried.report.updated, m: tried.report.rejected }) });
        },
        (error: unknown) => {
          if (control.signal.aborted) return;
          setWork(null);
          setProblem(refusalOf(error, state.lang));
          const refused = refusedTrial(error);
          if (refused) {
            setTrial(refused);
            setStep(1);
          }
        },
      );
    }, trial ? WAIT_MS : 0);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [file, crs, onConflict, sheet, map, tries]);

  // The rows as they would stand, on the map.
  useEffect(() => {
    if (!trial || done) return;
    act.drawListed(layer, trial.sample.features.map((one) => ({ ...one, id: "" })));
    return () => { act.registry.draw(); };
  }, [trial, done]);
  useEffect(() => {
    const features = trial?.sample.features ?? [];
    const places = features.flatMap((one) => ((one.geometry as typeof one.geometry | null) ? positions(one.geometry) : []));
    if (step === 2 && places.length > 0) act.view?.fit(places, {});
  }, [step, trial?.id]);

  if (!collection) return null;
  const take = (chosen: File) => {
    setTrial(null);
    setMap({});
    setSheet(null);
    setDone(null);
    setStep(0);
    setFile(chosen);
  };
  const commit = async () => {
    if (!trial || work) return;
    setWork({ stage: "writing", ratio: 0 });
    setProblem("");
    try {
      const report = await commitImport(trial.id, (stage, ratio) => { setWork({ stage, ratio }); });
      setDone(report);
      setStep(3);
      act.itemChanged({ layer, fid: null });
      void act.refreshCollections();
      act.set({ said: text.t("import_done", { n: report.imported + report.updated }) });
    } catch (error) {
      setProblem(refusalOf(error, state.lang));
    } finally {
      setWork(null);
    }
  };
  const again = () => {
    setFile(null);
    setTrial(null);
    setDone(null);
    setMap({});
    setTakenBack(false);
    setStep(0);
  };
  const titles = collection.titles[state.lang];
  const written = trial ? trial.report.imported + trial.report.updated : 0;
  const choices = (
    <div class="import-choices">
      {collection.layer.geometry !== "none" && (
        <label>{text.t("import_crs")}
          <select value={crs ?? ""} onChange={(event) => { setCrs(event.currentTarget.value || null); }}>
            <option value="">{text.t("import_crs_auto")}{crs === null && trial?.report.crs ? ` (${text.try(`crs_${trial.report.crs}`, trial.report.crs)})` : ""}</option>
            {CRS.map((one) => <option key={one} value={one}>{text.try(`crs_${one}`, one)}</option>)}
          </select>
        </label>
      )}
      {(trial?.sheets?.length ?? 0) > 1 && (
        <label>{text.t("import_sheet")}
          <select value={sheet ?? ""} onChange={(event) => { setSheet(event.currentTarget.value || null); setMap({}); }}>
            <option value="">{text.t("import_sheet_first")}</option>
            {trial?.sheets?.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
      )}
      <label>{text.t("import_conflict")}
        <select value={onConflict} onChange={(event) => { setOnConflict(event.currentTarget.value as "skip" | "update"); }}>
          <option value="skip">{text.t("import_skip")}</option>
          <option value="update">{text.t("import_update")}</option>
        </select>
      </label>
    </div>
  );
  return (
    <section class="card import-panel" aria-label={text.t("import_into", { layer: titles })}>
      <header class="card-head">
        <button type="button" class="icon-button" aria-label={text.t("back")} onClick={() => { if (step === 0 || done) leave(); else setStep(step - 1); }}>←</button>
        <div><h2 ref={heading} tabIndex={-1}>{text.t("import_into", { layer: titles })}</h2>{file && <p class="muted">{file.name}</p>}</div>
        <button type="button" class="icon-button" aria-label={text.t("close")} onClick={leave}>✕</button>
      </header>
      <Steps at={step} />
      <div class="card-body">
        {work && (
          <p class="uploading" role="status">
            <progress max={1} value={work.ratio > 0 && work.ratio < 1 ? work.ratio : undefined} aria-label={text.t(`import_${work.stage}`)} />
            <span class="muted">{text.t(`import_${work.stage}`)}</span>
          </p>
        )}
        {problem !== "" && <p class="warning" role="alert">{problem} {file && !done && <button type="button" class="link" onClick={() => { setTries(tries + 1); }}>{text.t("retry")}</button>}</p>}
        {step === 0 && (
          <>
            <DropZone onFile={take} />
            {choices}
            <p class="muted">{text.t("import_nothing_written")}</p>
            <PastImports layer={layer} />
          </>
        )}
        {step === 1 && trial && (
          <div class={work ? "old" : ""}>
            {choices}
            <Columns collection={collection} trial={trial} map={map} onMap={(name, field) => { setMap({ ...map, [name]: field }); }} />
          </div>
        )}
        {step === 2 && trial && (
          <div class={work ? "old" : ""}>
            <Counts report={trial.report} />
            {trial.report.datum && <DatumWarning fit={trial.report.datum} onCrs={setCrs} />}
            {trial.sample.features.length < written && <p class="muted">{text.t("import_sampled", { n: trial.sample.features.length })}</p>}
            <Remarks report={trial.report} />
            <Rejects trial={trial} />
          </div>
        )}
        {step === 3 && done && (
          <>
            <p role="status"><strong>{text.t(takenBack ? "import_undone" : "import_done", { n: done.imported + done.updated })}</strong></p>
            <Counts report={done} />
            {trial && <Rejects trial={trial} />}
          </>
        )}
      </div>
      {step > 0 && (
        <footer class="panel-foot">
          <p class="actions">
            {step === 1 && <button type="button" class="primary" disabled={!trial || work !== null || problem !== ""} onClick={() => { setStep(2); }}>{text.t("import_check")}</button>}
            {step === 2 && <button type="button" class="primary" disabled={!trial || work !== null || written === 0} aria-busy={work?.stage === "writing"} onClick={() => { void commit(); }}>{text.t("import_commit", { n: written })}</button>}
            {step < 3 && <button type="button" onClick={() => { setStep(step - 1); }}>{text.t("back")}</button>}
            {step === 3 && <button type="button" class="primary" onClick={() => { act.endImport(true); }}>{text.t("import_show")}</button>}
            {step === 3 && <button type="button" onClick={again}>{text.t("import_another")}</button>}
            {step === 3 && done && !takenBack && done.imported + done.updated > 0 && <button type="button" class="danger" onClick={() => { setTakingBack(true); }}>{text.t("import_take_back")}</button>}
          </p>
        </footer>
      )}
      {takingBack && done?.import_id && (
        <TakeBack
          id={done.import_id} layer={layer} name={file?.name ?? ""} written={done.imported + done.updated}
          onClose={(wasTaken) => {
            setTakingBack(false);
            if (wasTaken) setTakenBack(true);
          }}
        />
      )}
    </section>
  );
}
