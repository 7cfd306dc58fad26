import { useMemo, useRef, useState } from "preact/hooks";
import type { Field, Layer } from "../api";
import { useApp } from "../context";
import { type Datum, DATUMS } from "../coordinates";
import { commitImport, type Report, type Trial } from "../registry/imports";
import { refusalOf, sentence } from "../registry/reasons";
import { Dialog } from "./dialog";
import { editable } from "./form";
import { tryImport } from "./requests";
import { kindsOf } from "./shape";
import { csvOf, rowsOfTable } from "./table_text";
import { useWords } from "./words";
import { imported } from "./written";

interface Props {
  layer: string;
  onClose: () => void;
}

const ROWS_SHOWN = 50;
const POSITION: Record<string, string[]> = {
  lon: ["经度", "東經", "东经", "lon", "lng", "long", "longitude", "x"],
  lat: ["纬度", "緯度", "北纬", "lat", "latitude", "y"],
  wkt: ["图形", "wkt", "geometry", "geom"],
};
const NAMES: Record<Datum, string> = { "WGS 84": "EPSG:4326", CGCS2000: "EPSG:4490", "GCJ-02": "GCJ-02", "BD-09": "BD-09" };

const plain = (heading: string) => heading.normalize("NFKC").toLowerCase().replace(/[\s_*＊（）()]|\[[^\]]*\]/g, "");

/** What a heading means: a field by name, label or alias, or a part of the position; empty when it is not known. */
function meaningOf(heading: string, fields: Field[]): string {
  const wanted = plain(heading);
  const place = Object.keys(POSITION).find((name) => POSITION[name]?.includes(wanted));
  const field = fields.find(({ name, label, aliases = [] }) => [name, label.zh, label.en, ...aliases].some((one) => plain(one) === wanted));
  return field?.name ?? place ?? "";
}

/** The order in which columns without headings are taken: the fields of the layer, then the position. */
const inOrder = (layer: Layer, fields: Field[]): string[] => [...fields.map((field) => field.name), ...(layer.geometry === "Point" ? ["lon", "lat"] : [])];

/** Rows copied from a spreadsheet: columns matched, checked by the service, then written as one change. */
export function PasteDialog({ layer, onClose }: Props) {
  const { act, state } = useApp();
  const say = useWords();
  const [text, setText] = useState("");
  const [heading, setHeading] = useState(true);
  const [chosen, setChosen] = useState<Record<number, string>>({});
  const [datum, setDatum] = useState<Datum>("WGS 84");
  const [onConflict, setOnConflict] = useState<"skip" | "update">("skip");
  const [tried, setTried] = useState<Trial | null>(null);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const area = useRef<HTMLTextAreaElement>(null);
  const collection = act.collection(layer);
  const rows = useMemo(() => rowsOfTable(text), [text]);
  if (!collection) return null;
  const fields = editable(collection.layer);
  const hasPlace = kindsOf(collection.layer.geometry).length > 0;
  const body = heading ? rows.slice(1) : rows;
  const width = rows[0]?.length ?? 0;
  const order = inOrder(collection.layer, fields);
  const meanings = Array.from({ length: width }, (_, index) => chosen[index] ?? (heading ? meaningOf(rows[0]?.[index] ?? "", fields) : (order[index] ?? "")));
  const labelOf = (meaning: string) => (meaning === "lon" || meaning === "lat" || meaning === "wkt" ? say(`paste_${meaning}`) : (fields.find((field) => field.name === meaning)?.label[state.lang] ?? meaning));
  const twice = meanings.find((meaning, index) => meaning !== "" && meanings.indexOf(meaning) !== index);
  const rejected = new Map(tried?.rejected.map((one) => [one.row, one]));
  const unread = tried?.report.unread_examples ?? [];
  /** What becomes of a row: why it is rejected, or which of its cells cannot be read. */
  const said = (row: number) => {
    const refusal = rejected.get(row);
    const cells = unread.filter((one) => one.row === row).map((one) => say("paste_unread", { label: labelOf(one.column), value: one.value }));
    return { refusal, cells, columns: [refusal?.column, ...unread.filter((one) => one.row === row).map((one) => one.column)] };
  };

  const changed = () => {
    setTried(null);
    setWrong("");
  };
  const take = (next: string) => {
    setText(next);
    const first = rowsOfTable(next)[0] ?? [];
    setHeading(first.filter((cell) => meaningOf(cell, fields) !== "").length * 2 >= first.length);
    setChosen({});
    changed();
  };

  const check = async () => {
    if (body.length === 0) {
      setWrong(say("paste_empty"));
      area.current?.focus();
      return;
    }
    if (twice !== undefined) {
      setWrong(say("paste_twice", { label: labelOf(twice) }));
      return;
    }
    setBusy(true);
    setWrong("");
    try {
      const kept = meanings.flatMap((meaning, index) => (meaning === "" ? [] : [index]));
      const headings = kept.map((index) => meanings[index] ?? "");
      const csv = csvOf([headings, ...body.map((row) => kept.map((index) => row[index] ?? ""))]);
      const file = new File(["\ufeff", csv], "paste.csv", { type: "text/csv" });
      const map = Object.fromEntries(headings.map((name) => [name, name]));
      setTried(await tryImport(layer, file, map, { ...(hasPlace && { crs: NAMES[datum] }), on_conflict: onConflict }));
    } catch (error) {
      setWrong(refusalOf(error, state.lang));
    } finally {
      setBusy(false);
    }
  };
  const commit = async () => {
    if (!tried) return;
    setBusy(true);
    try {
      const report = await commitImport(tried.id, () => { /* a pasted table is soon written */ });
      imported(act, say, layer, report.import_id ?? 0, say("paste_committed", { n: written(report) }));
      onClose();
    } catch (error) {
      setWrong(refusalOf(error, state.lang));
      setBusy(false);
    }
  };
  const count = tried ? written(tried.report) : 0;

  return (
    <Dialog title={say("paste_title", { layer: collection.titles[state.lang] })} wide onClose={onClose}>
      <div class="paste">
        {rows.length === 0 ? (
          <>
            <p>{say("paste_text")}</p>
            <textarea ref={area} rows={6} autofocus aria-label={say("paste_here")} placeholder={say("paste_here")} value={text} onInput={(event) => { take(event.currentTarget.value); }} />
          </>
        ) : (
          <>
            <p class="paste-options">
              <span class="digits">{say("paste_rows", { n: body.length, m: width })}</span>
              <label><input type="checkbox" checked={heading} onChange={(event) => { setHeading(event.currentTarget.checked); setChosen({}); changed(); }} /> {say("paste_heading")}</label>
              {hasPlace && (
                <label>{say("paste_datum")} <select value={datum} onChange={(event) => { setDatum(event.currentTarget.value as Datum); changed(); }}>{DATUMS.map((one) => <option key={one} value={one}>{one}</option>)}</select></label>
              )}
              <label>{say("paste_existing")} <select value={onConflict} onChange={(event) => { setOnConflict(event.currentTarget.value as "skip" | "update"); changed(); }}><option value="skip">{say("paste_skip")}</option><option value="update">{say("paste_update")}</option></select></label>
              <button type="button" class="link" onClick={() => { setText(""); changed(); }}>{say("paste_other")}</button>
            </p>
            <div class="paste-table" tabIndex={0} role="region" aria-label={say("paste_rows", { n: body.length, m: width })}>
              <table>
                <thead>
                  <tr>
                    <th scope="col">{say("paste_row")}</th>
                    {meanings.map((meaning, index) => (
                      <th key={index} scope="col">
                        <span class="muted">{heading ? rows[0]?.[index] : say("paste_column", { n: index + 1 })}</span>
                        <select aria-label={heading ? rows[0]?.[index] : say("paste_column", { n: index + 1 })} class={meaning === "" ? "unknown" : ""} value={meaning} onChange={(event) => { setChosen({ ...chosen, [index]: event.currentTarget.value }); changed(); }}>
                          <option value="">{say("paste_ignore")}</option>
                          {hasPlace && ["lon", "lat", "wkt"].map((one) => <option key={one} value={one}>{labelOf(one)}</option>)}
                          {fields.map((field) => <option key={field.name} value={field.name}>{field.label[state.lang]}</option>)}
                        </select>
                      </th>
                    ))}
                    {tried && <th scope="col">{say("paste_wrong")}</th>}
                  </tr>
                </thead>
                <tbody>
                  {body.slice(0, ROWS_SHOWN).map((row, index) => {
                    const { refusal, cells, columns } = said(index + FIRST_ROW);
                    return (
                      <tr key={index} class={refusal ? "rejected" : ""}>
                        <th scope="row" class="digits">{index + 1}</th>
                        {row.map((cell, column) => <td key={column} class={`${meanings[column] === "" ? "muted" : ""}${meanings[column] && columns.some((one) => one?.split(", ").includes(meanings[column] ?? "")) ? " bad" : ""}`}>{cell}</td>)}
                        {tried && <td class="wrong">{refusal && <>{sentence(refusal.reason, state.lang)}{refusal.proposal && <span class="muted"> {say("paste_proposal")}: {refusal.proposal}</span>}</>}{cells.map((one) => <p key={one} class="unread">{one}</p>)}</td>}
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </div>
            {body.length > ROWS_SHOWN && <p class="muted">{say("paste_more", { n: ROWS_SHOWN })}</p>}
            {tried && (
              <div class={tried.rejected.length > 0 ? "warning" : "restored"} role="status">
                <strong>{say("paste_result", { n: count, m: tried.rejected.length })}</strong>
                {tried.report.unchanged > 0 && <p>{say("paste_duplicates", { n: tried.report.unchanged })}</p>}
                {tried.rejected.filter((one) => one.row - FIRST_ROW >= ROWS_SHOWN).slice(0, 20).map((one) => <p key={`${one.row}-${one.column}`}>{say("paste_row")} {one.row - FIRST_ROW + 1}: {sentence(one.reason, state.lang)}</p>)}
              </div>
            )}
          </>
        )}
        {wrong !== "" && <p class="warning" role="alert">{wrong}</p>}
        <p class="actions">
          {tried && count > 0
            ? <button type="button" class="primary" disabled={busy} onClick={() => { void commit(); }}>{say("paste_commit", { n: count })}</button>
            : <button type="button" class="primary" disabled={busy || rows.length === 0} onClick={() => { void check(); }}>{busy ? say("paste_checking") : say("paste_check")}</button>}
          <button type="button" onClick={onClose}>{say("cancel")}</button>
        </p>
      </div>
    </Dialog>
  );
}

/** The number that the service gives the first row under the headings. */
const FIRST_ROW = 2;

/** Rows that are, or would be, written. */
const written = (report: Report) => report.imported + report.updated;
