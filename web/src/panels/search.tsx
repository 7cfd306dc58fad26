import { useEffect, useId, useRef, useState } from "preact/hooks";
import { search, type SearchResult } from "../api";
import { coordinateText, readingsOf, type Reading } from "../coordinates";
import { useApp } from "../context";
import { positions } from "../geometry";

const WAIT_MS = 180;

/** One line of the list: a reading of a coordinate, or something found by name. */
type Found = { kind: "reading"; reading: Reading } | { kind: "item"; item: SearchResult };

/** Search by name, pinyin initials, coordinates or a link shared from a map app. */
export function Search() {
  const { act, state, text } = useApp();
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const [query, setQuery] = useState("");
  const [found, setFound] = useState<Found[]>([]);
  const [done, setDone] = useState("");
  const [error, setError] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);

  useEffect(() => {
    const q = query.trim();
    setActive(0);
    setError("");
    if (q === "") {
      setFound([]);
      setDone("");
      return;
    }
    const near: [number, number] = [state.view.lon, state.view.lat];
    const readings = readingsOf(q, act.service.bbox, near).map((reading): Found => ({ kind: "reading", reading }));
    if (readings.length > 0) {
      setFound(readings);
      setDone(q);
      return;
    }
    const control = new AbortController();
    const timer = setTimeout(() => {
      search(q.slice(0, 100), near, control.signal).then(
        (results) => {
          setFound(results.map((item): Found => ({ kind: "item", item })));
          setDone(q);
        },
        (reason: unknown) => {
          if (!control.signal.aborted) setError(reason instanceof Error ? reason.message : String(reason));
        },
      );
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [query]);

  const choose = (one: Found | undefined) => {
    if (!one) return;
    setOpen(false);
    if (one.kind === "reading") {
      act.setIncident(one.reading.position, true);
      return;
    }
    const { layer, fid, geometry, bbox } = one.item;
    act.select({ layer, fid }, { geometry });
    if (bbox && (bbox[0] !== bbox[2] || bbox[1] !== bbox[3])) act.view?.fit([[bbox[0], bbox[1]], [bbox[2], bbox[3]]], {});
    else if (positions(geometry).length > 0) act.flyTo(geometry);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      if (found.length > 0) setActive((active + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(found[active]);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (open && query !== "") setOpen(false);
      else act.view?.map.getCanvas().focus();
    }
  };

  const shown = open && query.trim() !== "" && (found.length > 0 || done !== "" || error !== "");
  return (
    <div class="search" data-region="search" ref={box} onFocusOut={(event) => { if (!box.current?.contains(event.relatedTarget as Node | null)) setOpen(false); }}>
      <input
        id="search" type="text" role="combobox" list={undefined} autocomplete="off" spellcheck={false} enterkeyhint="search"
        aria-label={text.t("search")} aria-expanded={shown} aria-controls={`${id}-list`} aria-autocomplete="list"
        aria-activedescendant={shown && found.length > 0 ? `${id}-${active}` : undefined}
        placeholder={text.t("search_hint")} value={query}
        onInput={(event) => { setQuery(event.currentTarget.value); setOpen(true); }}
        onFocus={() => { setOpen(true); }} onKeyDown={onKeyDown}
      />
      {!state.phone && <kbd aria-hidden="true">/</kbd>}
      {shown && (
        <ul id={`${id}-list`} role="listbox" class="found" aria-label={text.t("search")}>
          {found.map((one, index) => (
            <li
              key={index} id={`${id}-${index}`} role="option" aria-selected={index === active}
              onMouseDown={(event) => { event.preventDefault(); }} onClick={() => { choose(one); }} onMouseMove={() => { setActive(index); }}
            >
              {one.kind === "reading" ? (
                <>
                  <strong class="digits">{coordinateText(one.reading.position)}</strong>
                  <span class="muted">
                    {text.t("set_incident")} · {one.reading.datum === "WGS 84" ? text.t("in_datum") : text.t("from_datum", { datum: one.reading.datum })}
                  </span>
                  {one.reading.likely && <span class="chip">{text.t("likely")}</span>}
                </>
              ) : (
                <>
                  <strong>{one.item.name}</strong>
                  <span class="muted">{[act.collection(one.item.layer)?.titles[state.lang], one.item.subtitle].filter(Boolean).join(" · ")}</span>
                  {one.item.sample && <span class="chip sample">{text.t("sample")}</span>}
                </>
              )}
            </li>
          ))}
          {error !== "" && <li class="problem" role="alert">{error}</li>}
          {error === "" && found.length === 0 && <li class="none">{text.t("search_none", { q: done })}<br /><span class="muted">{text.t("search_try")}</span></li>}
        </ul>
      )}
    </div>
  );
}
