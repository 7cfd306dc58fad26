import type { ComponentChildren } from "preact";
import { type By, type Profile, PROFILES } from "../api";
import { coordinateText } from "../coordinates";
import { useApp } from "../context";
import { startCreate } from "../edit";
import { localTime } from "../edit/entries";
import { rankedIn, skippedByFirst } from "../rows";
import { answerText, WALK_M } from "../values";
import { Reach } from "./reach";
import { ResultRow } from "./result_row";
import { SkippedList } from "./skipped_list";

const PERSONS = [20, 50, 120, 300, 500, 1000];

/** Where the incident is, and what is asked for. */
function Question() {
  const { act, state, text } = useApp();
  const { incident, answer, hazard, places } = state;
  if (!incident) return null;
  const place = answer.value?.place.map((one) => one.name).join("") ?? "";
  const inside = answer.value?.hazards_here ?? [];
  const persons = places !== null && !PERSONS.includes(places) ? [...PERSONS, places].toSorted((a, b) => a - b) : PERSONS;
  return (
    <header class="question">
      <div class="title-line">
        <h2>{text.t("incident")}</h2>
        <button type="button" class="link" onClick={() => { act.pick(); }}>{text.t("incident_other")}</button>
        <button type="button" class="link" onClick={() => { act.clearIncident(); }}>{text.t("clear")}</button>
      </div>
      <p class="muted digits">{coordinateText(incident)}{place !== "" && ` · ${place}`}</p>
      {inside.length > 0 && (
        <p class="warning" role="note">
          {text.t("hazards_here", { names: inside.map((zone) => zone.name ?? zone.id).join(state.lang === "zh" ? "、" : ", ") })}
        </p>
      )}
      <Asked>
        <div class="choices">
          <label>{text.t("hazard")}
            <select value={hazard ?? ""} onChange={(event) => { act.setHazard(event.currentTarget.value || null); }}>
              <option value="">{text.t("hazard_any")}</option>
              {act.service.hazards.map(({ code, label }) => <option key={code} value={code}>{label[state.lang]}</option>)}
            </select>
          </label>
          <label>{text.t("persons")}
            <select value={places === null ? "" : String(places)} onChange={(event) => { act.setPlaces(Number(event.currentTarget.value) || null); }}>
              <option value="">{text.t("persons_any")}</option>
              {persons.map((n) => <option key={n} value={String(n)}>{text.t("persons_n", { n })}</option>)}
            </select>
          </label>
        </div>
        <Measure />
      </Asked>
      <Warnings />
      <Reach />
      {!state.phone && <Basis />}
    </header>
  );
}

/** What is asked for; on a phone one line that opens, so that the answer has room. */
function Asked({ children }: { children: ComponentChildren }) {
  const { act, state, text } = useApp();
  if (!state.phone) return <>{children}</>;
  const { hazard, places, by, profile, when } = state;
  const parts = [
    hazard === null ? null : text.label(act.service.hazards, hazard),
    places === null ? null : text.t("persons_n", { n: places }),
    text.t(`by_${by}`),
    by === "road" ? text.t(`profile_${profile}`) : null,
    by === "road" && when !== null ? text.soon(when) : null,
  ];
  return (
    <details class="asked">
      <summary aria-label={text.t("question")}><span>{parts.filter((part) => part !== null).join(" · ")}</span><span aria-hidden="true">▾</span></summary>
      {children}
    </details>
  );
}

/** The moment for which is asked: now, or one that is chosen. */
function When() {
  const { act, state, text } = useApp();
  const { when } = state;
  return (
    <>
      <label><span class="away">{text.t("when")}</span>
        <select value={when === null ? "now" : "then"} onChange={(event) => { act.setWhen(event.currentTarget.value === "now" ? null : new Date(Math.ceil(Date.now() / 60_000) * 60_000).toISOString()); }}>
          <option value="now">{text.t("when_now")}</option>
          <option value="then">{when === null ? text.t("when_choose") : text.soon(when)}</option>
        </select>
      </label>
      {when !== null && (
        <input
          type="datetime-local" class="when" aria-label={text.t("when")} value={localTime(new Date(when))}
          onChange={(event) => { if (event.currentTarget.value !== "") act.setWhen(new Date(event.currentTarget.value).toISOString()); }}
        />
      )}
    </>
  );
}

/** By road or by straight line; who travels; and what closes a road, for those who may write it down. */
function Measure() {
  const { act, state, text } = useApp();
  const { by, profile } = state;
  const { closures } = act;
  const choice = (one: By) => (
    <button type="button" aria-pressed={by === one} onClick={() => { act.setBy(one); }}>{text.t(`by_${one}`)}</button>
  );
  return (
    <>
      <div class="segments" role="group" aria-label={text.t("measured")}>{choice("road")}{choice("line")}</div>
      <div class="travelling">
        {by === "road" && (
          <select aria-label={text.t("profile")} value={profile} onChange={(event) => { act.setProfile(event.currentTarget.value as Profile); }}>
            {PROFILES.map((one) => <option key={one} value={one}>{text.t(`profile_${one}`)}</option>)}
          </select>
        )}
        {by === "road" && <When />}
        {by === "road" && (
          <button type="button" class="reach-switch" aria-pressed={state.reach} onClick={() => { act.setReach(!state.reach); }}>{text.t("reach")}</button>
        )}
        {closures && act.can(closures.id).edit && (
          <button type="button" class="add-closure" onClick={() => { startCreate(act, closures.id, { starts_at: new Date().toISOString() }); }}>
            <svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.5" /><path d="M4.5 8h7" /></svg> {text.t("add_closure")}
          </button>
        )}
      </div>
    </>
  );
}

/** What must be known before the answer is used. */
function Warnings() {
  const { act, state, text } = useApp();
  const { network, instead } = state.answer.value ?? {};
  if (instead) return <p class="instead" role="note">{text.t(`instead_${instead}`)}</p>;
  if (!network) return null;
  const { walk_to_road_m: walk_m, inside } = network;
  const join = text.lang === "zh" ? "、" : ", ";
  const names = inside.map(({ id, name }) => act.nameOf({ id, properties: { name } }, id.split(".")[0] ?? ""));
  return (
    <>
      {walk_m === null && <p class="warning" role="note">{text.t("too_far_from_road")}</p>}
      {inside.length > 0 && <p class="warning" role="note">{text.t("inside_closure", { names: names.join(join) })}</p>}
    </>
  );
}

/** What the answer rests on, and what it does not know of. */
function Basis() {
  const { state, text } = useApp();
  const network = state.answer.value?.network;
  if (!network) return null;
  const { walk_to_road_m: walk_m, left_out, is_last, closures } = network;
  const notes = [
    walk_m !== null && walk_m > WALK_M && text.t("walk_to_road", { d: text.distance(walk_m) }),
    closures > 0 && text.t("closures_counted", { n: closures }),
    ...left_out.map((one) => text.try(`left_out_${one}`, one)),
    !is_last && text.t("roads_renewing"),
  ].filter(Boolean);
  return notes.length > 0 ? <p class="muted basis">{notes.join(" · ")}</p> : null;
}

function Tabs() {
  const { act, state } = useApp();
  const step = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    const ids = act.ranked.map((one) => one.id);
    const next = ids[(ids.indexOf(state.tab ?? "") + by + ids.length) % ids.length];
    if (!next) return;
    act.setTab(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" onKeyDown={step}>
      {act.ranked.map((one) => {
        const count = state.answer.value?.features.filter((item) => item.properties.layer === one.id).length;
        return (
          <button
            key={one.id} id={`tab-${one.id}`} type="button" role="tab" aria-selected={one.id === state.tab} aria-controls="results"
            tabIndex={one.id === state.tab ? 0 : -1} onClick={() => { act.setTab(one.id); }}
          >
            {one.titles[state.lang]}{count !== undefined && <b> {count}</b>}
          </button>
        );
      })}
    </div>
  );
}

function Results() {
  const { act, state, text } = useApp();
  const { answer, tab } = state;
  if (answer.status === "failed") {
    return (
      <p class="problem" role="alert">
        {text.t("failed")}: {answer.error} <button type="button" class="link" onClick={() => { void act.ask(true); }}>{text.t("retry")}</button>
      </p>
    );
  }
  if (!answer.value) return <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /><i /></div>;
  const ranked = rankedIn(state);
  const { nearer, farther } = skippedByFirst(state);
  const layer = tab ? (act.collection(tab)?.titles[state.lang] ?? tab) : "";
  const [first, ...others] = ranked;
  const known = ranked.map((one) => one.properties.places_persons).filter((n) => typeof n === "number");
  const asked = ranked.filter((one) => "places_persons" in one.properties).length;
  return (
    <ol class={answer.status === "loading" ? "rows old" : "rows"} aria-busy={answer.status === "loading"}>
      {first ? <ResultRow key={String(first.id)} item={first} /> : <li class="empty">{text.t("no_candidates", { layer })}</li>}
      <SkippedList key={`nearer-${tab}`} items={nearer} title={first ? "why_not" : "skipped_none_used"} open={!state.phone} />
      {others.map((item) => <ResultRow key={String(item.id)} item={item} />)}
      <SkippedList key={`farther-${tab}`} items={farther} title="skipped_others" open={false} />
      {asked > 1 && (
        <li class="sum muted">
          {text.t("sum_places", { n: known.reduce((sum, n) => sum + n, 0) })}
          {asked > known.length && ` · ${text.t("sum_unknown", { n: asked - known.length })}`}
        </li>
      )}
      {state.phone && <li class="sum"><Basis /></li>}
    </ol>
  );
}

function Copy() {
  const { act, state, text } = useApp();
  const ranked = rankedIn(state);
  const { copied } = state;
  return (
    <footer class="panel-foot">
      {copied && (
        <div class="copied">
          <p class="muted">{text.t(copied.done ? "copied" : "copy_by_hand")}
            <button type="button" class="icon-button" aria-label={text.t("close")} onClick={() => { act.set({ copied: null }); }}>✕</button>
          </p>
          <textarea readOnly rows={5} value={copied.text} aria-label={text.t("copy_text")} onFocus={(event) => { event.currentTarget.select(); }} />
        </div>
      )}
      <div class="actions">
        <button type="button" class="primary" disabled={ranked.length === 0} onClick={() => { void act.copy(answerText(ranked, (item) => act.nameOf(item, item.properties.layer), text), true); }}>
          {text.t("copy_text")}
        </button>
        <button type="button" onClick={() => { void act.copy(location.origin + act.link, false); }}>{text.t("copy_link")}</button>
      </div>
    </footer>
  );
}

/** The incident: the question, one tab for each ranked layer, and the answer. */
export function Incident() {
  const { act, text } = useApp();
  if (act.ranked.length === 0) return <><Question /><p class="empty">{text.t("nothing_ranked")}</p></>;
  return (
    <>
      <Question />
      <Tabs />
      <div class="scroll" id="results" role="tabpanel" tabIndex={-1}><Results /></div>
      <Copy />
    </>
  );
}
