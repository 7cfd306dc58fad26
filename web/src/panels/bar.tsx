import { useApp } from "../context";
import type { ThemeChoice } from "../state";
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

/** The bar: whose map this is, search, language and look. On a phone only search and a menu. */
export function Bar() {
  const { act, state, text } = useApp();
  const { service } = act;
  if (state.phone) {
    return (
      <header class="bar">
        <Search />
        <button type="button" class="icon-button menu-button" aria-label={text.t("menu")} aria-expanded={state.menu} onClick={() => { act.set({ menu: !state.menu }); }}>☰</button>
        {state.menu && <div class="menu"><strong>{service.name} {service.area?.[state.lang]}</strong><Choices /></div>}
      </header>
    );
  }
  return (
    <header class="bar">
      <h1>{service.name}</h1>
      <span class="muted area">{service.area?.[state.lang]}</span>
      <span class="workspace">{text.t("respond")}</span>
      <span class="space" />
      <Search />
      <Choices />
    </header>
  );
}
