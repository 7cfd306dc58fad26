import { useApp } from "../context";
import type { ThemeChoice, Workspace } from "../state";
import { AccountMenu, AsOfChoice, roleKey } from "./account";
import { LiveChip } from "./live_chip";
import { Search } from "./search";

const THEMES: ThemeChoice[] = ["auto", "light", "dark"];

function Choices() {
  const { act, state, text } = useApp();
  return (
    <>
      <label class="theme">
        <span class={state.phone ? "" : "away"}>{text.t("theme")}</span>
        <select value={state.theme} aria-label={text.t("theme")} onChange={(event) => { act.setTheme(event.currentTarget.value as ThemeChoice); }}>
          {THEMES.map((theme) => <option key={theme} value={theme}>{text.t(`theme_${theme}`)}</option>)}
        </select>
      </label>
      <button type="button" class="plain" lang={state.lang === "zh" ? "en" : "zh-Hans"} aria-label={text.t("language_name")} onClick={() => { act.setLang(state.lang === "zh" ? "en" : "zh"); }}>{text.t("language")}</button>
      <button type="button" class="plain" aria-label={text.t("help")} onClick={() => { act.set({ help: true, menu: false }); }}>?</button>
    </>
  );
}

/** The pictures of the phone's workspace buttons. */
const PICTURES: Record<Workspace, string> = { respond: "M10 2a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z", registry: "M3 5h14M3 10h14M3 15h14" };

/** The workspaces that the role may see. */
export function Workspaces() {
  const { act, state, text } = useApp();
  return (
    <nav class="workspaces" aria-label={text.t("workspaces")}>
      {act.workspaces.map((one) => (
        <button key={one} type="button" class="workspace" aria-current={one === act.shown ? "page" : undefined} onClick={() => { act.open(one); }}>
          {state.phone && <svg viewBox="0 0 20 20" aria-hidden="true"><path d={PICTURES[one]} /></svg>}
          {text.t(one)}
        </button>
      ))}
    </nav>
  );
}

function PhoneAccount() {
  const { act, state, text } = useApp();
  const { name, role } = state.account;
  if (name === null) return <button type="button" onClick={() => { act.session.open(); }}>{text.t("sign_in")}</button>;
  return (
    <>
      <p>{name} <span class="muted">{text.t(roleKey(role))}</span></p>
      <AsOfChoice onDone={() => { act.set({ menu: false }); }} />
      <button type="button" onClick={() => { act.set({ menu: false }); void act.session.end(); }}>{text.t("sign_out")}</button>
    </>
  );
}

/** The bar: whose map this is, workspaces, search, language, look and account. On a phone only search and a menu. */
export function Bar() {
  const { act, state, text } = useApp();
  const { service } = act;
  if (state.phone) {
    return (
      <>
        <header class="bar">
          <Search />
          <button type="button" class="icon-button menu-button" aria-label={text.t("menu")} aria-expanded={state.menu} onClick={() => { act.set({ menu: !state.menu }); }}>☰</button>
          {state.menu && <div class="menu"><strong>{service.name} {service.area?.[state.lang]}</strong><LiveChip /><Choices /><PhoneAccount /></div>}
        </header>
        {act.workspaces.length > 1 && <Workspaces />}
      </>
    );
  }
  return (
    <header class="bar">
      <h1>{service.name}</h1>
      <span class="muted area">{service.area?.[state.lang]}</span>
      <Workspaces />
      <span class="space" />
      <Search />
      <LiveChip />
      <Choices />
      <AccountMenu />
    </header>
  );
}

/** Says that an earlier moment is shown, and leads back; or that the map is of an earlier moment, as nobody can tell what is now. */
export function AsOfBanner() {
  const { act, state, text } = useApp();
  const { asOf, tilesAsOf } = state;
  if (asOf === null && tilesAsOf === null) return null;
  return (
    <p class="as-of" role="status">
      {tilesAsOf !== null && <span>{text.t("tiles_as_of", { t: text.time(new Date(tilesAsOf).toISOString()) })}</span>}
      {asOf !== null && <span>{text.t("as_of_banner", { t: text.time(asOf) })}</span>}
      {asOf !== null && <button type="button" onClick={() => { act.showAsOf(null); }}>{text.t("as_of_back")}</button>}
    </p>
  );
}
