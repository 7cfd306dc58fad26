/** Editing, loaded when it is first wanted. */
import "../edit.css";
import { type Attributes, type ComponentType, h } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useApp, useStore } from "../context";
import type { Controller } from "../controller";
import type { Properties } from "../api";
import type { ItemRef } from "../url";
import { notice } from "./notice";
import type * as ToolsModule from "./tools";

type Tools = typeof ToolsModule;
type Props<Name extends keyof Tools> = Parameters<Tools[Name]>[0];

let loading: Promise<Tools> | null = null;
let tools: Tools | null = null;

/** Loads the tools once; a failed try is made again. */
function loadTools(): Promise<Tools> {
  loading ??= import("./tools").then(
    (loaded) => (tools = loaded),
    (error: unknown) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}

/** A component of the tools, in whose place a skeleton stands until they are there. */
function later<Name extends keyof Tools>(name: Name) {
  return function Later(props: Props<Name>) {
    const { text } = useApp();
    const [loaded, setLoaded] = useState(tools);
    const [failed, setFailed] = useState("");
    const [tries, setTries] = useState(0);
    useEffect(() => {
      if (loaded) return;
      loadTools().then(setLoaded, (error: unknown) => { setFailed(error instanceof Error ? error.message : String(error)); });
    }, [tries]);
    if (loaded) return h(loaded[name] as ComponentType<Props<Name>>, props as Props<Name> & Attributes);
    if (failed === "") return <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /></div>;
    return <p class="problem" role="alert">{text.t("failed")}: {failed} <button type="button" class="link" onClick={() => { setFailed(""); setTries(tries + 1); }}>{text.t("retry")}</button></p>;
  };
}

export const EditPanel = later("EditPanel");
export const HistoryPanel = later("HistoryPanel");
export const PasteDialog = later("PasteDialog");
export const BulkEdit = later("BulkEdit");
export const MonitorForm = later("MonitorForm");
export const EndClosure = later("EndClosure");
const NoticeBar = later("NoticeBar");

/** The last write and its undo, while there is one. */
export function EditNotice() {
  const shown = useStore(notice);
  return shown && <NoticeBar notice={shown} />;
}

/** Opens the form of a new item, which begins with `values` besides what its definition says. */
export function startCreate(act: Controller, layer: string, values: Properties = {}): void {
  void loadTools().catch(() => undefined);
  if (act.state.selected) act.select(null);
  act.edit({ layer, fid: null, values });
}

/** Opens the form of an item. */
export function startEdit(act: Controller, { layer, fid }: ItemRef): void {
  void loadTools().catch(() => undefined);
  act.edit({ layer, fid });
}
