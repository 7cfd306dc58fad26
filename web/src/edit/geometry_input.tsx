import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Layer } from "../api";
import { useApp } from "../context";
import type { Position } from "../geometry";
import { CoordinateInput } from "./coordinate_input";
import type { Form } from "./form";
import { OnMap } from "./on_map";
import {
  canRemove, type Kind, kindsOf, metresBetween, metresText, pointShape, removeVertex, sameShape, type Shape, type Sketch, takesParts, vertexAt, vertexMinimum, type VertexPath, withSketch,
} from "./shape";
import { measuresOf, type Mode, ShapeEditor } from "./shape_editor";
import { type EditKey, useWords } from "./words";

interface Props {
  layer: Layer;
  form: Form;
  /** The shape that the service has. */
  base: Shape | null;
  /** Drawn dashed: the shape of the other editor. */
  fixed: boolean;
  wrong: string | undefined;
  change: (change: Partial<Form>, what: string) => void;
  undo: () => void;
}

const drawKeys: Record<Kind, EditKey> = { point: "draw_point", line: "draw_line", polygon: "draw_polygon" };

function areaText(m2: number): string {
  return m2 < 1e5 ? `${Math.round(m2).toLocaleString()} m²` : `${(m2 / 1e6).toFixed(2)} km²`;
}

/** The place of an item: on the map by click, drag and drawing, or typed. */
export function GeometryInput({ layer, form, base, fixed, wrong, change, undo }: Props) {
  const { act, state, text } = useApp();
  const say = useWords();
  const kinds = kindsOf(layer.geometry);
  const { shape, sketch } = form;
  const [mode, setMode] = useState<Mode>(!shape && kinds.length === 1 && kinds[0] === "point" ? "place" : "still");
  const [picked, setPicked] = useState<VertexPath | null>(null);
  const [crowded, setCrowded] = useState(false);
  const [note, setNote] = useState("");
  const editor = useRef<ShapeEditor | null>(null);
  const shownMode: Mode = sketch ? "draw" : mode === "draw" ? "still" : mode;

  /** What the map's handlers call: always of the latest form. */
  const latest = useRef<{ form: Form; change: Props["change"]; finish: () => void; remove: (path: VertexPath) => void }>(null as never);
  latest.current = {
    form, change,
    finish: () => {
      if (!sketch) return;
      const minimum = vertexMinimum[sketch.kind];
      if (sketch.positions.length < minimum) {
        setNote(say("too_few", { n: minimum }));
        return;
      }
      const made = withSketch(shape, sketch);
      setNote(made ? "" : say("hole_outside"));
      if (made) change({ shape: made, sketch: null }, "");
    },
    remove: (path) => {
      if (!shape) return;
      if (canRemove(shape, path)) change({ shape: removeVertex(shape, path) }, "");
      else setNote(say("vertex_kept", { n: vertexMinimum[shape.kind] }));
      setPicked(null);
    },
  };

  // Before the next click can come, and not only before the next picture.
  useLayoutEffect(() => {
    if (!act.view || fixed) return;
    const made = new ShapeEditor(
      act.view,
      {
        changed: (next) => { latest.current.change({ shape: next }, ""); },
        sketched: (positions) => {
          const { sketch: now } = latest.current.form;
          setNote("");
          if (now) latest.current.change({ sketch: { ...now, positions } }, "");
        },
        finished: () => { latest.current.finish(); },
        removed: (path) => { latest.current.remove(path); },
        picked: setPicked,
        crowded: setCrowded,
      },
      { point: say("group_geometry"), vertex: (n, m) => say("vertex", { n, m }), insert: say("vertex_new") },
    );
    editor.current = made;
    return () => {
      editor.current = null;
      made.dispose();
    };
  }, [act.view, text.lang]);

  const moved = base && shape && !sameShape(base, shape);
  useLayoutEffect(() => {
    editor.current?.show(sketch?.as === "whole" ? null : shape, sketch, shownMode, sketch?.as === "whole" ? shape : moved ? base : null);
  }, [shape, sketch, shownMode, text.lang]);

  // The phone's sheet makes room while the map is worked on, and comes back after.
  const worked = useRef(false);
  useEffect(() => {
    if (state.phone && shownMode !== "still") act.setSheet("low");
    else if (state.phone && worked.current) act.setSheet("full");
    worked.current = shownMode !== "still";
  }, [shownMode]);

  useEffect(() => {
    if (shownMode === "still") return;
    const keyed = (event: KeyboardEvent) => {
      const onCanvas = event.target === act.view?.map.getCanvas();
      const taken = event.key === "Escape" ? stop() : onCanvas && event.key === " " ? atCentre() : (onCanvas || event.target === document.body) && event.key === "Enter" ? done() : false;
      if (!taken) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    addEventListener("keydown", keyed, { capture: true });
    return () => { removeEventListener("keydown", keyed, { capture: true }); };
  });

  const stop = () => {
    if (document.querySelector("dialog[open]")) return false;
    if (sketch) change({ sketch: null }, "");
    setMode("still");
    return true;
  };
  const done = () => {
    if (sketch) latest.current.finish();
    else setMode("still");
    return true;
  };
  const atCentre = () => {
    const at = act.view?.map.getCenter().toArray();
    if (!at) return false;
    if (sketch) change({ sketch: { ...sketch, positions: [...sketch.positions, at] } }, "");
    else if (shownMode === "place") change({ shape: pointShape(at) }, "");
    return true;
  };

  const begin = (next: Mode) => {
    setNote("");
    setMode(next);
    if (shape && act.view && !shape.parts.flat(2).some((at) => act.view?.map.getBounds().contains(at))) showShape();
    act.view?.map.getCanvas().focus({ preventScroll: true });
  };
  const draw = (kind: Kind, as: Sketch["as"] = "whole") => {
    if (kind === "point") {
      begin("place");
      return;
    }
    setNote("");
    change({ sketch: { kind, as, positions: [] } }, "");
    setMode("draw");
    act.view?.map.getCanvas().focus({ preventScroll: true });
  };

  if (kinds.length === 0) return null;
  if (fixed) return <p class="muted">{say("geometry_fixed")}</p>;

  const measures = shape ? measuresOf(shape) : null;
  const point: Position | null = shape?.kind === "point" ? (vertexAt(shape, [0, 0, 0]) ?? null) : null;
  const was = base?.kind === "point" ? vertexAt(base, [0, 0, 0]) : undefined;
  const size = measures && shape?.kind !== "point" && [
    measures.area_m2 !== null && areaText(measures.area_m2),
    measures.length_m !== null && text.distance(measures.length_m),
    say("vertices", { n: measures.vertices }),
    measures.parts > 1 && say("parts", { n: measures.parts }),
    measures.holes > 0 && say("holes", { n: measures.holes }),
  ].filter(Boolean).join(" · ");
  const hint = shownMode === "place" ? say(!shape ? "place_hint" : state.phone ? "place_again_touch" : "place_again_hint")
    : shownMode === "draw" ? say(state.phone ? "draw_touch" : sketch?.kind === "polygon" ? "draw_hint" : "draw_line_hint")
      : crowded ? say("vertices_zoom") : say(state.phone ? "vertices_touch" : "vertices_hint");

  return (
    <div class="geometry-input" data-field="geometry" tabIndex={-1} aria-describedby={wrong ? "geometry-wrong" : undefined}>
      <p>
        {!shape && !sketch && <span class="muted">{say("no_geometry")}</span>}
        {size}
        {point && was && moved && <span class="chip changed">{say("moved_by", { d: metresText(metresBetween(was, point)) })}</span>}
      </p>
      {shownMode === "still" && (
        <p class="actions">
          {!shape && kinds.map((kind) => <button key={kind} type="button" class="primary" onClick={() => { draw(kind); }}>{say(kind === "point" ? "place" : drawKeys[kind])}</button>)}
          {shape?.kind === "point" && <button type="button" onClick={() => { begin("place"); }}>{say("move")}</button>}
          {shape && shape.kind !== "point" && (
            <>
              <button type="button" onClick={() => { begin("vertices"); }}>{say("edit_vertices")}</button>
              {takesParts(layer.geometry, shape.kind) && <button type="button" onClick={() => { draw(shape.kind, "part"); }}>{say("draw_part")}</button>}
              {shape.kind === "polygon" && <button type="button" onClick={() => { draw("polygon", "hole"); }}>{say("draw_hole")}</button>}
              <button type="button" onClick={() => { draw(shape.kind); }}>{say("redraw")}</button>
            </>
          )}
          {shape && act.view && <button type="button" onClick={() => { showShape(); }}>{text.t("zoom_to")}</button>}
        </p>
      )}
      {(kinds.includes("point") && (shape === null || shape.kind === "point") && !sketch) && (
        <CoordinateInput
          position={point}
          onChange={(position) => {
            change({ shape: pointShape(position) }, "coordinates");
            act.view?.fly(position, 12);
          }}
        />
      )}
      {wrong && <p class="wrong" id="geometry-wrong" role="alert">{wrong}</p>}
      {shownMode !== "still" && (
        <OnMap>
          <div class="shape-tools" role="group" aria-label={say("group_geometry")}>
            <span class="hint">{note === "" ? hint : note}</span>
            {shownMode === "draw" && (
              <>
                <button type="button" class="primary" disabled={!sketch || sketch.positions.length < vertexMinimum[sketch.kind]} onClick={done}>{say("draw_finish")}</button>
                <button type="button" disabled={!sketch || sketch.positions.length === 0} onClick={undo}>{say("draw_undo")}</button>
                <button type="button" onClick={stop}>{say("cancel")}</button>
              </>
            )}
            {shownMode === "vertices" && (
              <>
                <button type="button" disabled={!picked} onPointerDown={(event) => { event.preventDefault(); }} onClick={() => { if (picked) latest.current.remove(picked); }}>{say("vertex_delete")}</button>
                <button type="button" onClick={undo}>{say("undo")}</button>
                <button type="button" class="primary" onClick={done}>{say("vertices_done")}</button>
              </>
            )}
            {shownMode === "place" && shape && (
              <>
                <button type="button" onClick={undo}>{say("undo")}</button>
                <button type="button" class="primary" onClick={done}>{say("move_done")}</button>
              </>
            )}
          </div>
        </OnMap>
      )}
    </div>
  );

  function showShape() {
    if (point) act.view?.fly(point);
    else if (shape) act.view?.fit(shape.parts.flat(2), {});
  }
}
