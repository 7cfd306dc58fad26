/** The requests of imports. */
import { along, type Feature, Problem, type Scalar, send, sessionHeaders, withQuery } from "../api";

export interface Reject {
  row: number;
  column: string | null;
  reason: string;
  proposal: string | null;
  /** As they stand in the file, in the order of the headings. */
  cells?: (Scalar | null)[] | null;
}

/** How well the points fit roads and buildings under each datum. */
export interface DatumFit {
  read_as: string;
  /** The share of points near a road or a building, by datum. */
  shares: Record<string, number>;
  n: number;
  /** `fits`, `better:` and a datum, or `cannot tell`. */
  verdict: string;
}

export interface Report {
  read: number;
  imported: number;
  updated: number;
  unchanged: number;
  rejected: number;
  crs?: string | null;
  notes?: string[];
  flags?: Record<string, number>;
  /** Cells that could not be read, by heading. */
  unread?: Record<string, number>;
  /** Some of these cells. */
  unread_examples?: { row: number; column: string; value: string }[];
  datum?: DatumFit | null;
  import_id?: number | null;
}

/** What an import would do; nothing is written yet. */
export interface Trial {
  id: string;
  report: Report;
  columns: Record<string, string | null>;
  headings: string[];
  /** The sheets of a workbook, or the layers of a file with several. */
  sheets?: string[] | null;
  sample: { features: Feature[] };
  rejected: Reject[];
}

/** How a file is to be read; what is null is found out. */
export interface Reading {
  crs: string | null;
  on_conflict: "skip" | "update";
  sheet: string | null;
  /** What the user has said of headings; `-` leaves a column out. */
  map: Record<string, string>;
}

/** How far the service is, from 0 to 1. */
export type Progress = (stage: "sending" | "reading" | "writing", ratio: number) => void;

interface Status<T> {
  state: "checking" | "ready" | "importing" | "done" | "failed";
  ratio: number;
  answer?: T;
  problem?: Record<string, unknown>;
}

const POLL_MS = 400;
const LATER = { Prefer: "respond-async" };

/** Waits for what the service does with a file. */
async function finished<T>(token: string, progress: (ratio: number) => void, signal?: AbortSignal): Promise<T> {
  for (;;) {
    const told = (await (await send("GET", `/imports/${token}`, undefined, {}, signal)).json()) as Status<T>;
    if (told.state === "failed") throw new Problem(Number(told.problem?.status ?? 500), { ...told.problem, token });
    if (told.answer) return told.answer;
    progress(told.ratio);
    await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    signal?.throwIfAborted();
  }
}

interface Sent {
  status: number;
  text: string;
}

/** Sends a file, and says which share of it has arrived. */
function sendFile(layer: string, { crs, on_conflict, sheet }: Reading, file: File, arrived: (share: number) => void, signal: AbortSignal): Promise<Sent> {
  const form = new FormData();
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", withQuery("/imports", { layer, crs, on_conflict, sheet }));
    for (const [name, value] of Object.entries({ ...sessionHeaders(), ...LATER })) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => { if (event.lengthComputable) arrived(event.loaded / event.total); };
    request.onload = () => { resolve({ status: request.status, text: request.responseText }); };
    request.onerror = () => { reject(new TypeError("Failed to fetch")); };
    request.onabort = () => { reject(new DOMException("aborted", "AbortError")); };
    signal.addEventListener("abort", () => { request.abort(); });
    request.send(form);
  });
}

function membersOf(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {}; // a proxy answers in its own words
  }
}

/** Sends a file to be looked at. */
export async function tryFile(layer: string, reading: Reading, file: File, progress: Progress, signal: AbortSignal): Promise<Trial> {
  const once = () => sendFile(layer, reading, file, (share) => { progress("sending", share); }, signal);
  let answer = await once();
  if (answer.status === 401 && along.signIn && (await along.signIn())) answer = await once();
  const members = membersOf(answer.text);
  if (answer.status >= 400) throw new Problem(answer.status, members);
  return finished<Trial>(String(members.id), (ratio) => { progress("reading", ratio); }, signal);
}

/** Looks at a file that was sent once more, read in another way. */
export async function tryAgain(token: string, reading: Reading, progress: Progress, signal: AbortSignal): Promise<Trial> {
  await send("POST", `/imports/${token}`, reading, LATER, signal);
  return finished<Trial>(token, (ratio) => { progress("reading", ratio); }, signal);
}

/** Writes what was looked at last; sent again, it writes nothing twice. */
export async function commitImport(token: string, progress: Progress): Promise<Report> {
  await send("POST", `/imports/${token}/commit`, undefined, LATER);
  return (await finished<{ report: Report }>(token, (ratio) => { progress("writing", ratio); })).report;
}

/** A refused file whose columns the user can still say: as a look at it in which no row stands. */
export function refusedTrial(error: unknown): Trial | null {
  if (!(error instanceof Problem)) return null;
  const { token, headings, columns, sheets } = error.members as Partial<Trial & { token: string }>;
  if (token === undefined || !Array.isArray(headings)) return null;
  const report = { read: 0, imported: 0, updated: 0, unchanged: 0, rejected: 0 };
  return { id: token, report, columns: columns ?? {}, headings, sheets: sheets ?? null, sample: { features: [] }, rejected: [] };
}

export const rejectsAddress = (token: string) => `/imports/${token}/rejects.csv`;

/** An import that was made. */
export interface Import {
  id: number;
  layer: string;
  source: string | null;
  file_name: string | null;
  counts: Partial<Record<"read" | "imported" | "updated" | "unchanged" | "rejected", number>> | null;
  finished_at: string | null;
  author: string | null;
  taken_back_at: string | null;
}

export const getImports = async (layer: string) => ((await (await send("GET", withQuery("/imports", { layer }))).json()) as { imports: Import[] }).imports;

/** What became of the rows of an import that was taken back. */
export interface TakenBack {
  deleted: number;
  restored: number;
  left: number;
}

/** Takes an import back; `leaveEdited` leaves the rows that were written again since. */
export const undoImport = async (id: number, reason: string, leaveEdited: boolean) =>
  (await (await send("POST", `/imports/${id}/undo`, { reason, ...(leaveEdited && { leave_edited: true }) })).json()) as TakenBack;
