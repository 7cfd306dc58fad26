import { useState } from "preact/hooks";
import { useApp } from "../context";
import type { Key } from "../i18n";
import { Popup } from "./popup";

/** The name of a role. */
export const roleKey = (role: string | null): Key => `role_${role ?? "none"}` as Key;

/** The choice of an earlier moment whose records are shown. */
export function AsOfChoice({ onDone }: { onDone: () => void }) {
  const { act, text } = useApp();
  const [value, setValue] = useState("");
  const moment = value === "" ? Number.NaN : Date.parse(value);
  return (
    <form
      class="as-of-choice"
      onSubmit={(event) => {
        event.preventDefault();
        if (Number.isNaN(moment) || moment > Date.now()) return;
        act.showAsOf(new Date(moment).toISOString());
        onDone();
      }}
    >
      <label for="as-of">{text.t("as_of_choose")}</label>
      <span class="with-button">
        <input id="as-of" type="datetime-local" value={value} onInput={(event) => { setValue(event.currentTarget.value); }} />
        <button type="submit" disabled={Number.isNaN(moment) || moment > Date.now()}>{text.t("as_of_show")}</button>
      </span>
    </form>
  );
}

/** Who has signed in, and what is theirs to do; or the button to sign in. */
export function AccountMenu() {
  const { act, state, text } = useApp();
  const { name, role } = state.account;
  if (name === null) return <button type="button" class="sign-in-button" onClick={() => { act.session.open(); }}>{text.t("sign_in")}</button>;
  return (
    <Popup key={name} label={<span class="account-name">{name}</span>} class="account">
      {(close) => (
        <>
          <p><strong>{name}</strong><br /><span class="muted">{text.t(roleKey(role))}</span></p>
          <AsOfChoice onDone={close} />
          <button type="button" class="wide" onClick={() => { void act.session.end(); }}>{text.t("sign_out")}</button>
        </>
      )}
    </Popup>
  );
}
