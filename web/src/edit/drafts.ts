/** Changes that the service does not have yet, kept in this browser's tab by item. */
import type { Form } from "./form";

export interface Draft {
  form: Form;
  /** The state that the changes were made from; null for a new item. */
  base: Form;
  etag: string | null;
  /** Sent with a new item, so that a second try does not make a second item. */
  key: string;
  at: string;
}

const nameOf = (layer: string, fid: number | null) => `leeward.draft.${layer}.${fid ?? "new"}`;

function stored(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

export function keptDraft(layer: string, fid: number | null): Draft | null {
  const text = stored()?.getItem(nameOf(layer, fid));
  try {
    return text ? (JSON.parse(text) as Draft) : null;
  } catch {
    return null;
  }
}

/** Keeps a draft; false when the browser keeps nothing, or no more. */
export function keepDraft(layer: string, fid: number | null, draft: Draft): boolean {
  try {
    stored()?.setItem(nameOf(layer, fid), JSON.stringify(draft));
    return stored() !== null;
  } catch {
    return false;
  }
}

export function dropDraft(layer: string, fid: number | null): void {
  stored()?.removeItem(nameOf(layer, fid));
}

/** Drops every draft, as they may hold what the next user may not see. */
export function dropDrafts(): void {
  const kept = stored();
  for (const name of Object.keys(kept ?? {})) if (name.startsWith("leeward.draft.")) kept?.removeItem(name);
}

/** A name that nobody else will make, also where the page is not a secure context. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
