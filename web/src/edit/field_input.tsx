import { useEffect, useState } from "preact/hooks";
import { getItem, search, type Field, type Properties } from "../api";
import { useApp } from "../context";
import { type Entry, isUnknown, localTime } from "./entries";
import { useWords } from "./words";

interface Props {
  field: Field;
  entry: Entry;
  /** What is wrong, shown at the field. */
  wrong?: string | undefined;
  /** What is asked for, shown at the field. */
  hint?: string | undefined;
  changed?: boolean;
  /** The codes that may be chosen, where not all may. */
  only?: string[] | null;
  /** Starts every id, so that one field may stand twice in a page. */
  scope?: string;
  onChange: (entry: Entry) => void;
  onBlur?: () => void;
}

const LONG_TEXT = 36;

const ids = (scope: string, name: string) => ({ input: `${scope}-${name}`, wrong: `${scope}-${name}-wrong`, note: `${scope}-${name}-note` });

/** The lock of a field that the public does not see, and the mark of a personal one. */
export function Marks({ field }: { field: Field }) {
  const say = useWords();
  return (
    <>
      {field.required && <abbr class="mark required" title={say("required")}>*</abbr>}
      {field.public === false && <span class="mark lock" role="img" aria-label={say("not_public")} title={say("not_public")}><svg viewBox="0 0 12 12" aria-hidden="true"><path d="M3.5 5.5V3.8a2.5 2.5 0 0 1 5 0v1.7M2.5 5.5h7v5h-7z" /></svg></span>}
      {field.personal && <span class="mark personal">{say("personal")}</span>}
    </>
  );
}

/** Another layer's item, found by name. */
function ItemInput({ field, entry, id, described, invalid, onChange, onBlur }: Props & { id: string; described: string | undefined; invalid: boolean }) {
  const { act, state, text } = useApp();
  const say = useWords();
  const [query, setQuery] = useState<string | null>(null);
  const [found, setFound] = useState<{ fid: number; name: string }[]>([]);
  const [name, setName] = useState("");
  const layer = field.layer ?? "";
  useEffect(() => {
    setName("");
    if (typeof entry !== "string" || !/^\d+$/.test(entry)) return;
    getItem(layer, Number(entry)).then(
      (feature: { id: string | number; properties: Properties }) => { setName(act.nameOf(feature, layer)); },
      () => { setName(say("no_item")); },
    );
  }, [entry, layer, text.lang]);
  useEffect(() => {
    if (query === null || query.trim() === "") {
      setFound([]);
      return;
    }
    const control = new AbortController();
    const timer = setTimeout(() => {
      search(query.trim(), [state.view.lon, state.view.lat], control.signal).then(
        (results) => { setFound(results.filter((one) => one.layer === layer).map(({ fid, name: called }) => ({ fid, name: called }))); },
        () => { /* the list stays empty */ },
      );
    }, 200);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [query, layer]);
  const choose = (fid: number) => {
    onChange(String(fid));
    setQuery(null);
  };
  return (
    <div class="item-input">
      <input
        id={id} type="text" role="combobox" autocomplete="off" aria-expanded={found.length > 0} aria-controls={`${id}-list`} aria-invalid={invalid} aria-describedby={described}
        placeholder={say("item_search")} value={query ?? (name === "" ? String(entry) : name)}
        onFocus={(event) => { event.currentTarget.select(); }}
        onInput={(event) => {
          setQuery(event.currentTarget.value);
          if (event.currentTarget.value === "") onChange("");
        }}
        onKeyDown={(event) => {
          const first = found[0];
          if (event.key !== "Enter" || !first) return;
          event.preventDefault();
          choose(first.fid);
        }}
        onBlur={() => {
          setTimeout(() => { setQuery(null); }, 150);
          onBlur?.();
        }}
      />
      {found.length > 0 && (
        <ul id={`${id}-list`} role="listbox">
          {found.map((one) => <li key={one.fid} role="option" aria-selected={false} onMouseDown={(event) => { event.preventDefault(); choose(one.fid); }}>{one.name}</li>)}
        </ul>
      )}
    </div>
  );
}

/** The input that fits a field's type. */
function Control(props: Props & { id: string; described: string | undefined; invalid: boolean }) {
  const { field, entry, only, id, described, invalid, onChange, onBlur } = props;
  const { state, text } = useApp();
  const say = useWords();
  const typed = typeof entry === "string" ? entry : "";
  const [long] = useState(field.type === "text" && (typed.length > LONG_TEXT || typed.includes("\n")));
  const common = { id, "aria-invalid": invalid, "aria-describedby": described, "aria-required": field.required, onBlur };
  switch (field.type) {
    case "code": {
      const codes = (field.codes ?? []).filter(({ code }) => !only || only.includes(code) || code === typed);
      return (
        <select {...common} value={typed} class={typed === "" ? "unknown" : ""} onChange={(event) => { onChange(event.currentTarget.value); }}>
          <option value="">{say(field.required ? "choose" : "unknown")}</option>
          {codes.map(({ code, label }) => <option key={code} value={code}>{label[state.lang]}</option>)}
        </select>
      );
    }
    case "codes": {
      const chosen = Array.isArray(entry) ? entry : [];
      const put = (code: string, on: boolean) => { onChange((field.codes ?? []).map((one) => one.code).filter((one) => (one === code ? on : chosen.includes(one)))); };
      return (
        <div class="checks" role="group" aria-labelledby={`${id}-label`} aria-describedby={described} onFocusOut={onBlur}>
          {(field.codes ?? []).map(({ code, label }, index) => (
            <label key={code}><input id={index === 0 ? id : undefined} type="checkbox" checked={chosen.includes(code)} onChange={(event) => { put(code, event.currentTarget.checked); }} /><span>{label[state.lang]}</span></label>
          ))}
          {chosen.length === 0 && <span class="chip unknown">{say("unknown")}</span>}
        </div>
      );
    }
    case "boolean": {
      const choices = [["true", "yes"], ["false", "no"], ["", "unknown"]] as const;
      return (
        <div class="three" role="radiogroup" aria-labelledby={`${id}-label`} aria-describedby={described}>
          {choices.map(([value, label]) => (
            <label key={value} class={typed === value ? "on" : ""}>
              <input id={typed === value ? id : undefined} type="radio" name={id} value={value} checked={typed === value} onChange={() => { onChange(value); }} onBlur={onBlur} />
              <span>{say(label)}</span>
            </label>
          ))}
        </div>
      );
    }
    case "integer":
    case "number":
      return (
        <span class="with-unit">
          <input {...common} type="text" inputMode={field.type === "number" || (field.minimum ?? -1) < 0 ? "decimal" : "numeric"} autocomplete="off" placeholder={say("unknown")} value={typed} onInput={(event) => { onChange(event.currentTarget.value); }} />
          {field.unit && <span class="muted">{text.try(`unit_${field.unit}`, field.unit)}</span>}
        </span>
      );
    case "date":
      return <input {...common} type="date" class={typed === "" ? "unknown" : ""} value={typed} onInput={(event) => { onChange(event.currentTarget.validity.badInput ? "?" : event.currentTarget.value); }} />;
    case "datetime":
      return (
        <span class="with-unit">
          <input {...common} type="datetime-local" class={typed === "" ? "unknown" : ""} value={typed} onInput={(event) => { onChange(event.currentTarget.validity.badInput ? "?" : event.currentTarget.value); }} />
          <button type="button" onClick={() => { onChange(localTime(new Date())); }}>{say("now")}</button>
        </span>
      );
    case "item":
      return <ItemInput {...props} />;
    case "text":
      return long
        ? <textarea {...common} rows={2} value={typed} onInput={(event) => { onChange(event.currentTarget.value); }} />
        : <input {...common} type="text" autocomplete="off" placeholder={say("unknown")} value={typed} onInput={(event) => { onChange(event.currentTarget.value); }} />;
  }
}

/** One field of the form: label, marks, input, what is wrong with it. */
export function FieldInput(props: Props) {
  const { field, wrong, hint, changed, scope = "field" } = props;
  const { state } = useApp();
  const id = ids(scope, field.name);
  const note = hint ?? field.note?.[state.lang];
  const described = [wrong && id.wrong, note && id.note].filter(Boolean).join(" ");
  const grouped = field.type === "codes" || field.type === "boolean";
  const Label = grouped ? "span" : "label";
  return (
    <div class={`field${wrong ? " bad" : ""}${changed ? " changed" : ""}`} data-field={field.name}>
      <div class="field-label"><Label {...(!grouped && { for: id.input })} id={`${id.input}-label`}>{field.label[state.lang]}</Label><Marks field={field} /></div>
      <Control {...props} id={id.input} described={described === "" ? undefined : described} invalid={Boolean(wrong)} />
      {wrong && <p class="wrong" id={id.wrong}>{wrong}</p>}
      {note && <p class={hint ? "hint asked" : "hint"} id={id.note}>{note}</p>}
    </div>
  );
}

/** Whether an entry says something. */
export const isFilled = (entry: Entry | undefined) => !isUnknown(entry);
