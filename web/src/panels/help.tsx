import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../context";
import type { Key } from "../i18n";

const KEYS: [string, Key][] = [
  ["/", "key_search"], ["I", "key_incident"], ["M", "key_swap"], ["[ ]", "key_rows"], ["L", "key_layers"],
  ["G", "key_legend"], ["W", "key_workspace"], ["1 2 3", "key_views"], ["↑ ↓", "key_table"], ["F6", "key_regions"], ["Esc", "key_escape"], ["?", "key_help"],
];

/** The keys, and the switch that turns single-key shortcuts off. */
export function Help() {
  const { act, state, text } = useApp();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (state.help) dialog.current?.showModal();
    else dialog.current?.close();
  }, [state.help]);
  return (
    <dialog ref={dialog} class="help" aria-label={text.t("help")} onClose={() => { act.set({ help: false }); }}>
      <header><h2>{text.t("help_keys")}</h2><button type="button" class="icon-button" aria-label={text.t("close")} onClick={() => { act.set({ help: false }); }}>✕</button></header>
      <dl class="keys">{KEYS.map(([key, label]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{text.t(label)}</dd></div>)}</dl>
      <label class="switch"><input type="checkbox" checked={state.keys} onChange={(event) => { act.setKeys(event.currentTarget.checked); }} /><span>{text.t("help_keys_on")}</span></label>
      <p class="muted">{act.service.name} {act.service.version}</p>
    </dialog>
  );
}
