/** The requests of imports. */
import { along, type Feature, Problem, type Scalar, send, sessionHeaders, withQuery } from "../api";

export interface Reject {
  row: number;
  column: string | null;
  reason: string;
  proposal: string | null;
  cells?: Record<string, Scalar | null> | (Scalar | null)[] | null;
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
  datum?: DatumFit | null;
}

/** What an import would do; nothing is written yet. */
export interface Trial {
  id: string;
  report: Report;
  columns: Record<string, string | null>;
  headings: string[];
  sample: { features: Feature[] };
  rejected: Reject[];
}

export interface TrialQuestion {
  layer: string;
  crs: string | null;
  on_conflict: "skip" | "update";
  /** What the user has said of headings; `-` leaves a column out. */
  map: Record<string, string>;
}

interface Sent {
  status: number;
  text: string;
}

/** Sends a file to be looked at, and says which share of it has arrived. */
function sendFile({ layer, crs, on_conflict, map }: TrialQuestion, file: File, arrived: (share: number) => void, signal: AbortSignal): Promise<Sent> {
  const form = new FormData();
  if (Object.keys(map).length > 0) form.append("map", JSON.stringify(map));
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", withQuery("/imports", { layer, crs, on_conflict }));
    for (const [name, value] of Object.entries(sessionHeaders())) request.setRequestHeader(name, value);
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

export async function tryImport(question: TrialQuestion, file: File, arrived: (share: number) => void, signal: AbortSignal): Promise<Trial> {
  let answer = await sendFile(question, file, arrived, signal);
  if (answer.status === 401 && along.signIn && (await along.signIn())) answer = await sendFile(question, file, arrived, signal);
  if (answer.status >= 400) throw new Problem(answer.status, membersOf(answer.text));
  return JSON.parse(answer.text) as Trial;
}

export const commitImport = async (trial: string) => (await (await send("POST", `/imports/${trial}/commit`)).json()) as { import_id: number; report: Report };

export const rejectsAddress = (trial: string) => `/imports/${trial}/rejects.csv`;

/** An import that was made. */
export interface Import {
  id: number;
  layer: string;
  source: string | null;
  file_name: string | null;
  counts: Partial<Record<"read" | "imported" | "updated" | "unchanged" | "rejected", number>>;
  finished_at: string | null;
  author: string | null;
  taken_back_at: string | null;
}

export const getImports = async () => ((await (await send("GET", "/imports")).json()) as { imports: Import[] }).imports;

export const undoImport = async (id: number, reason: string) => { await send("POST", `/imports/${id}/undo`, { reason }); };
