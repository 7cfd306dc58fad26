/** The requests that write, on top of `send`; and those that say which state of an item they read. */
import type { Feature, Geometry, Properties, Value } from "../api";
import { Problem, send } from "../api";
import type { Trial } from "../registry/imports";

/** A feature, and the tag of its state. */
export interface Tagged {
  feature: Feature;
  etag: string;
}

/** A refused field, in the service's words. */
export interface FieldError {
  field: string;
  detail: string;
  expected?: string;
}

export interface ItemChange {
  /** Null: from before there was a log. */
  version: number | null;
  operation: "insert" | "update" | "delete";
  recorded_at: string | null;
  author: string | null;
  reason: string | null;
  changed: Record<string, { old?: Value; new?: Value }>;
  geometry?: { old: Geometry | null; new: Geometry | null };
}

const itemPath = (layer: string, fid: number) => `/collections/${layer}/items/${fid}`;
const itemsPath = (layer: string) => `/collections/${layer}/items`;

async function tagged(response: Response): Promise<Tagged> {
  return { feature: (await response.json()) as Feature, etag: response.headers.get("ETag") ?? "" };
}

export const readItem = async (layer: string, fid: number) => tagged(await send("GET", itemPath(layer, fid)));

export const createItem = async (layer: string, feature: Record<string, unknown>, key: string) =>
  tagged(await send("POST", itemsPath(layer), feature, { "Idempotency-Key": key }));

export const patchItem = async (layer: string, fid: number, patch: Record<string, unknown>, etag: string | null) =>
  tagged(await send("PATCH", itemPath(layer, fid), patch, etag === null ? {} : { "If-Match": etag }));

export const deleteItem = async (layer: string, fid: number, etag: string, reason: string): Promise<void> => {
  const query = reason === "" ? "" : `?${new URLSearchParams({ reason }).toString()}`;
  await send("DELETE", `${itemPath(layer, fid)}${query}`, undefined, { "If-Match": etag });
};

/** Writes the state after a version as a new change; no tag for an item that is deleted. */
export const restoreItem = async (layer: string, fid: number, version: number, etag: string | null, reason: string) =>
  tagged(await send("POST", `${itemPath(layer, fid)}/restore`, { version, ...(reason !== "" && { reason }) }, etag === null ? {} : { "If-Match": etag }));

export const readHistory = async (layer: string, fid: number) =>
  ((await (await send("GET", `${itemPath(layer, fid)}/history`)).json()) as { changes: ItemChange[] }).changes;

export interface BatchItem {
  fid: number;
  if_match: string;
  properties: Properties;
}

export const patchItems = async (layer: string, items: BatchItem[], reason: string) =>
  (await (await send("PATCH", itemsPath(layer), { items, ...(reason !== "" && { reason }) })).json()) as { items: { fid: number; etag: string }[] };

/** Reads a file without writing anything. */
export async function tryImport(layer: string, file: File, map: Record<string, string>, options: { crs?: string; on_conflict: "skip" | "update" }): Promise<Trial> {
  const form = new FormData();
  form.append("file", file);
  form.append("map", JSON.stringify(map));
  const query = new URLSearchParams({ layer, ...options });
  return (await (await send("POST", `/imports?${query.toString()}`, form)).json()) as Trial;
}

/** Takes a whole import back as one change. */
export const undoImport = async (id: number): Promise<void> => { await send("POST", `/imports/${id}/undo`, {}); };

// ---- what went wrong

export const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Whether a request did not reach the service, or came at a bad moment: worth the same request again. */
export const isPassing = (error: unknown) => !(error instanceof Problem) || [502, 503, 504].includes(error.status);

/** What else a refusal says. */
export function member<T>(error: unknown, name: string): T | undefined {
  return error instanceof Problem ? (error.members[name] as T | undefined) : undefined;
}
