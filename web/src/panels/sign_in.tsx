import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api";
import { useApp } from "../context";
import { useEscape } from "../edit/escape";

/** Name and password. What is open behind it stays as it is. */
function SignInDialog() {
  const { act, state, text } = useApp();
  const dialog = useRef<HTMLDialogElement>(null);
  const [name, setName] = useState(state.account.name ?? "");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [wait, setWait] = useState(0);
  useEffect(() => {
    dialog.current?.showModal();
    dialog.current?.querySelector<HTMLInputElement>(name === "" ? "#sign-in-name" : "#sign-in-password")?.focus();
    return () => { dialog.current?.close(); };
  }, []);
  useEffect(() => {
    if (wait <= 0) return;
    const timer = setTimeout(() => { setWait(wait - 1); }, 1000);
    return () => { clearTimeout(timer); };
  }, [wait]);
  useEscape(() => {
    act.session.cancel();
    return true;
  });

  const failed = (error: unknown) => {
    const after = error instanceof Problem && error.status === 429 ? Number(error.members.retry_after_s) : 0;
    setWait(after > 0 ? after : 0);
    const wrong = error instanceof Problem && error.status === 401;
    setProblem(wrong ? text.t("sign_in_wrong") : error instanceof Problem && error.status === 429 ? text.t("sign_in_often") : error instanceof Error ? error.message : String(error));
    if (wrong) setPassword("");
    requestAnimationFrame(() => dialog.current?.querySelector<HTMLInputElement>("#sign-in-password")?.focus());
  };
  const submit = () => {
    if (busy || wait > 0) return;
    if (name === "" || password === "") {
      setProblem(text.t("sign_in_both"));
      dialog.current?.querySelector<HTMLInputElement>(name === "" ? "#sign-in-name" : "#sign-in-password")?.focus();
      return;
    }
    setBusy(true);
    setProblem("");
    act.session.begin(name, password).catch(failed).finally(() => { setBusy(false); });
  };

  const ended = state.signIn === "ended";
  return (
    <dialog ref={dialog} class="dialog sign-in" aria-labelledby="sign-in-title" onCancel={(event) => { event.preventDefault(); }}>
      <header>
        <h2 id="sign-in-title">{text.t(ended ? "sign_in_again" : "sign_in")}</h2>
        <button type="button" class="icon-button" aria-label={text.t("close")} onClick={() => { act.session.cancel(); }}>✕</button>
      </header>
      <p class="muted">{text.t(ended ? "sign_in_ended" : "sign_in_text")}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <label for="sign-in-name">{text.t("sign_in_name")}</label>
        <input id="sign-in-name" type="text" autocomplete="username" autocapitalize="none" spellcheck={false} maxLength={100} value={name} onInput={(event) => { setName(event.currentTarget.value); }} />
        <label for="sign-in-password">{text.t("sign_in_password")}</label>
        <input id="sign-in-password" type="password" autocomplete="current-password" maxLength={1000} value={password} aria-describedby="sign-in-problem" onInput={(event) => { setPassword(event.currentTarget.value); }} />
        <p id="sign-in-problem" class="problem" role="alert">{problem}{wait > 0 && ` ${text.t("sign_in_wait", { n: wait })}`}</p>
        <button type="submit" class="primary wide" disabled={busy || wait > 0} aria-busy={busy}>{text.t(busy ? "sign_in_busy" : "sign_in")}</button>
      </form>
      <p class="muted">{text.t("sign_in_forgotten")}</p>
    </dialog>
  );
}

/** The dialog, while the user is asked to sign in. */
export function SignIn() {
  const { state } = useApp();
  return state.signIn ? <SignInDialog /> : null;
}
