import { render } from "preact";
import { along, getCollections, getService, getSession, type Lang, nobody } from "./api";
import { App } from "./app";
import { ControllerContext } from "./context";
import { Controller } from "./controller";
import { Text } from "./i18n";
import { loadIcons } from "./icons";
import { listenToKeys } from "./keys";
import { nothing, remembered, type State, type ThemeChoice } from "./state";
import { linkedIn } from "./url";
import "./app.css";
import "./clusters.css";

const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 767px)");

function startLang(linked: Lang | null): Lang {
  const kept = remembered("lang");
  if (linked) return linked;
  if (kept === "zh" || kept === "en") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function startTheme(): ThemeChoice {
  const kept = remembered("theme");
  return kept === "light" || kept === "dark" ? kept : "auto";
}

async function start(root: HTMLElement): Promise<void> {
  const linked = linkedIn(location.search);
  const lang = startLang(linked.lang);
  document.documentElement.lang = lang === "zh" ? "zh-Hans" : "en";
  const theme = startTheme();
  document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
  along.asOf = linked.asOf;
  const answers = await Promise.all([getService(), getCollections(), getSession().catch(() => nobody)]).catch((error: unknown) => {
    failed(root, new Text(lang), error);
    return null;
  });
  if (!answers) return;
  const [service, collections, account] = answers;
  await loadIcons(collections.flatMap((one) => one.layer.map?.rules.flatMap((rule) => rule.symbol.icon ?? []) ?? []));
  const [lon, lat] = linked.incident ?? service.view.center;
  const state: State = {
    lang, theme, systemTheme: dark.matches ? "dark" : "light",
    workspace: linked.workspace, account, signIn: linked.workspace === "registry" && !account.rights.includes("read") ? "asked" : null, asOf: linked.asOf,
    registry: linked.registry, board: nothing(), rows: nothing(), chosen: [], editing: null, importing: null, live: { on: false, since: null },
    view: linked.view ?? { lon, lat, zoom: service.view.zoom },
    incident: linked.incident, hazard: linked.hazard, places: linked.places, by: linked.by, profile: linked.profile, when: linked.when, reach: linked.reach, area: nothing(), tab: linked.tab, selected: linked.selected, switched: linked.switched,
    answer: nothing(), ranksBefore: null, flashes: 0, card: nothing(), listed: null, inView: nothing(),
    failed: {}, busy: false, seen: { counts: {}, clusters: {}, alone: {}, coarse: [] }, tilesAsOf: null,
    picking: false, legend: !narrow.matches && window.innerWidth >= 1200 && !linked.incident, help: false, menu: false,
    sheet: linked.incident || linked.selected ? "half" : "low", phone: narrow.matches, keys: remembered("keys") !== "off",
    copied: null, toast: null, said: "",
  };
  const act = new Controller(service, collections, state);
  const listed = act.drawn.filter((one) => one.layer.map.group !== "basemap").find((one) => act.visible(one.id) && one.layer.geometry === "Point" && one.counts.real + one.counts.sample > 0);
  act.set({ tab: linked.tab ?? act.ranked[0]?.id ?? null, listed: listed?.id ?? null });
  document.title = `${service.name} · ${act.text.t(act.shown)}`;
  dark.addEventListener("change", () => { act.set({ systemTheme: dark.matches ? "dark" : "light" }); act.restyle(); });
  narrow.addEventListener("change", () => { act.set({ phone: narrow.matches }); });
  addEventListener("popstate", () => { act.restore(); });
  listenToKeys(act);
  render(<ControllerContext.Provider value={act}><App /></ControllerContext.Provider>, root);
}

function failed(root: HTMLElement, text: Text, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  render(
    <div class="failed" role="alert">
      <h1>Leeward</h1>
      <p>{text.t("service_failed")}: {reason}</p>
      <button type="button" class="primary" onClick={() => { location.reload(); }}>{text.t("retry")}</button>
    </div>,
    root,
  );
}

const root = document.getElementById("app");
if (root) void start(root);
