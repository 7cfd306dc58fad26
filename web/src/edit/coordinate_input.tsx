import { useEffect, useId, useState } from "preact/hooks";
import { type Datum, DATUMS, fromWgs84, readingsOf, toWgs84 } from "../coordinates";
import { useApp } from "../context";
import type { Position } from "../geometry";
import { numberOf } from "./entries";
import { useWords } from "./words";

const shown = (n: number) => Number(n.toFixed(7)).toString();

interface Props {
  position: Position | null;
  onChange: (position: Position) => void;
}

/** A position typed in one of four datums; a pasted pair, or degrees with minutes, is taken apart. */
export function CoordinateInput({ position, onChange }: Props) {
  const { act, state } = useApp();
  const say = useWords();
  const id = useId();
  const [datum, setDatum] = useState<Datum>("WGS 84");
  const [typed, setTyped] = useState<[string, string]>(["", ""]);
  const here = position && fromWgs84(position, datum);

  // What stands in the inputs follows the map, but not the typing that has just set it.
  useEffect(() => {
    const now = here;
    const [lon, lat] = typed.map(numberOf) as [number, number];
    const same = now && Math.abs(now[0] - lon) < 1e-7 && Math.abs(now[1] - lat) < 1e-7;
    if (!same) setTyped(now ? [shown(now[0]), shown(now[1])] : ["", ""]);
  }, [position?.[0], position?.[1], datum]);

  const [lon, lat] = typed.map(numberOf) as [number, number];
  const empty = typed[0] === "" && typed[1] === "";
  const lonWrong = typed[0] !== "" && !(Math.abs(lon) <= 180);
  const latWrong = typed[1] !== "" && !(Math.abs(lat) <= 90);
  const complete = !lonWrong && !latWrong && typed[0] !== "" && typed[1] !== "";
  const outside = (complete && toWgs84([lon, lat], datum) === null) || (empty && position !== null && here === null);

  const take = (next: [string, string]) => {
    setTyped(next);
    const [x, y] = next.map(numberOf) as [number, number];
    const at = Math.abs(x) <= 180 && Math.abs(y) <= 90 ? toWgs84([x, y], datum) : null;
    if (at) onChange([Number(at[0].toFixed(7)), Number(at[1].toFixed(7))]);
  };
  /** Both numbers put into one input; text with a datum of its own, as a shared link, keeps it. */
  const paste = (event: ClipboardEvent) => {
    const text = event.clipboardData?.getData("text") ?? "";
    const found = readingsOf(text, act.service.bbox, [state.view.lon, state.view.lat])[0];
    if (!found) return;
    event.preventDefault();
    if (found.datum !== "WGS 84") {
      setDatum("WGS 84");
      onChange(found.position);
    } else take([shown(found.position[0]), shown(found.position[1])]);
  };

  const wrong = outside ? say("outside_china", { datum }) : lonWrong ? `${say("lon")} ${say("not_lon")}` : latWrong ? `${say("lat")} ${say("not_lat")}` : "";
  const part = (index: 0 | 1, label: string, bad: boolean) => (
    <label>
      <span>{label}</span>
      <input
        type="text" inputMode="decimal" autocomplete="off" value={typed[index]} name={index === 0 ? "lon" : "lat"}
        aria-invalid={bad || outside} aria-describedby={wrong === "" ? undefined : `${id}-wrong`} onPaste={paste}
        onInput={(event) => { take(index === 0 ? [event.currentTarget.value, typed[1]] : [typed[0], event.currentTarget.value]); }}
      />
    </label>
  );
  return (
    <div class="coordinates">
      {part(0, say("lon"), lonWrong)}
      {part(1, say("lat"), latWrong)}
      <label>
        <span>{say("datum")}</span>
        <select value={datum} onChange={(event) => { setDatum(event.currentTarget.value as Datum); }}>
          {DATUMS.map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
      </label>
      {wrong !== "" && <p class="wrong" id={`${id}-wrong`}>{wrong}</p>}
    </div>
  );
}
