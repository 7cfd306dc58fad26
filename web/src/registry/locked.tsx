import { useApp } from "../context";

/** In place of the registry, for those who have not signed in. */
export function RegistryLocked() {
  const { act, text } = useApp();
  return (
    <main class="registry-main" data-region="list" aria-label={text.t("registry")} tabIndex={-1}>
      <div class="nothing">
        <p><strong>{text.t("registry_locked")}</strong></p>
        <p class="muted">{text.t("registry_locked_ask")}</p>
        <p class="actions"><button type="button" class="primary" onClick={() => { act.session.open(); }}>{text.t("sign_in")}</button></p>
      </div>
    </main>
  );
}
