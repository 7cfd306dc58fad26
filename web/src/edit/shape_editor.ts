/** The shape on the map: handles that are dragged, pressed long or moved by keys, and clicks that place and draw. */
import type { MapView } from "../map";
import type { Position } from "../geometry";
import { areaOf, crossingsOf, geometryOf, insertVertex, lengthOf, moveVertex, type Shape, type Sketch, vertexAt, vertexMinimum, type VertexPath, verticesOf } from "./shape";

/** `still`: shown only; `place`: a click puts the point; `vertices`: handles; `draw`: clicks add to the sketch. */
export type Mode = "still" | "place" | "vertices" | "draw";

export interface ShapeEvents {
  /** The shape is as its editor wants it: a vertex was dragged, put in or placed. */
  changed: (shape: Shape) => void;
  sketched: (positions: Position[]) => void;
  finished: () => void;
  /** Asked to go: by key or long press. */
  removed: (path: VertexPath) => void;
  /** The vertex that has the focus; null when none has. */
  picked: (path: VertexPath | null) => void;
  /** Whether there are more vertices in view than handles are made for. */
  crowded: (crowded: boolean) => void;
}

/** Names of the handles for screen readers. */
export interface HandleWords {
  point: string;
  vertex: (n: number, m: number) => string;
  insert: string;
}

const HANDLES_AT_MOST = 120;
const MIDDLES_AT_MOST = 60;
const LONG_PRESS_MS = 600;
const DRAG_PX = 4;
const SAME_CLICK_PX = 6;
const STEP_PX = 1;

interface Handle {
  element: HTMLButtonElement;
  at: Position;
}

const key = (path: VertexPath) => path.join(".");

export class ShapeEditor {
  private readonly view: MapView;
  private readonly events: ShapeEvents;
  private readonly words: HandleWords;
  private readonly holder: HTMLDivElement;
  private handles: Handle[] = [];
  private shape: Shape | null = null;
  private old: Shape | null = null;
  private sketch: Sketch | null = null;
  private mode: Mode = "still";
  private pointer: Position | null = null;
  private dragging = false;
  /** The handle that gets the focus as soon as it is there. */
  private wanted: string | null = null;
  private lastClick: { position: Position; at: number } | null = null;

  constructor(view: MapView, events: ShapeEvents, words: HandleWords) {
    this.view = view;
    this.events = events;
    this.words = words;
    this.holder = document.createElement("div");
    this.holder.className = "handles";
    view.map.getCanvasContainer().append(this.holder);
    view.map.on("render", this.place);
    view.map.on("moveend", this.rebuild);
  }

  dispose(): void {
    this.view.map.off("render", this.place);
    this.view.map.off("moveend", this.rebuild);
    this.holder.remove();
    this.view.map.doubleClickZoom.enable();
    this.view.takeOver(null);
    this.view.drawEditing([]);
  }

  /** Shows a state of the form; `old` is drawn dashed below. */
  show(shape: Shape | null, sketch: Sketch | null, mode: Mode, old: Shape | null = null): void {
    if (this.dragging) return;
    Object.assign(this, { shape, sketch, mode, old });
    if (mode !== "draw") this.pointer = null;
    if (mode === "draw") this.view.map.doubleClickZoom.disable();
    else this.view.map.doubleClickZoom.enable();
    this.view.takeOver({
      cursor: mode === "draw" || mode === "place" ? "crosshair" : "",
      clicked: (position) => { this.clicked(position); },
      doubleClicked: () => { if (this.mode === "draw") this.events.finished(); },
      pointed: (position) => { this.pointed(position); },
    });
    this.draw();
    this.rebuild();
  }

  // ---- the pointer on the map

  private clicked(position: Position): void {
    const at: Position = [Number(position[0].toFixed(7)), Number(position[1].toFixed(7))];
    const last = this.lastClick;
    this.lastClick = { position: at, at: performance.now() };
    if (this.mode === "place") this.events.changed({ kind: "point", parts: [[[at]]] });
    if (this.mode !== "draw" || !this.sketch) return;
    if (last && performance.now() - last.at < 400 && this.pixels(last.position, at) < SAME_CLICK_PX) return;
    this.events.sketched([...this.sketch.positions, at]);
  }

  private pointed(position: Position): void {
    if (this.mode !== "draw") return;
    this.pointer = position;
    this.draw();
  }

  private pixels(one: Position, other: Position): number {
    const [a, b] = [this.view.map.project(one), this.view.map.project(other)];
    return Math.hypot(a.x - b.x, a.y - b.y);
  }

  // ---- drawing

  private draw(): void {
    const features: GeoJSON.Feature[] = [];
    const add = (geometry: GeoJSON.Geometry | null, kind: string) => {
      if (geometry) features.push({ type: "Feature", geometry, properties: { kind } });
    };
    add(geometryOf(this.old, "Geometry"), "old");
    // The point has a handle of its own, which can be dragged.
    if (this.shape?.kind !== "point") add(geometryOf(this.shape, "Geometry"), "shape");
    if (this.sketch && this.sketch.positions.length > 0) {
      const line = this.pointer ? [...this.sketch.positions, this.pointer] : this.sketch.positions;
      if (this.sketch.kind === "polygon" && line.length > 2) add({ type: "Polygon", coordinates: [[...line, line[0] ?? [0, 0]]] }, "sketch");
      else if (line.length > 1) add({ type: "LineString", coordinates: line }, "sketch");
    }
    for (const coordinates of crossingsOf(this.shape)) add({ type: "Point", coordinates }, "crossing");
    this.view.drawEditing(features);
  }

  // ---- handles

  /** Makes the handles that the mode needs, for what is in view; keeps the focus. */
  private readonly rebuild = (): void => {
    if (this.dragging) return;
    const focused = this.wanted ?? this.holder.querySelector<HTMLElement>(":focus")?.dataset.path;
    this.handles = [];
    if (this.mode === "draw") this.sketchHandles();
    else if (this.shape?.kind === "point") this.pointHandle(this.shape);
    else if (this.shape && this.mode === "vertices") this.vertexHandles(this.shape);
    this.holder.replaceChildren(...this.handles.map((handle) => handle.element));
    this.place();
    if (focused === undefined) return;
    const handle = this.holder.querySelector<HTMLElement>(`[data-path="${focused}"]`);
    handle?.focus({ preventScroll: true });
    if (handle) this.wanted = null;
  };

  private readonly place = (): void => {
    for (const { element, at } of this.handles) {
      const { x, y } = this.view.map.project(at);
      element.style.transform = `translate(${x}px, ${y}px)`;
    }
  };

  private add(at: Position, className: string, label: string, path: VertexPath): Handle {
    const element = document.createElement("button");
    element.type = "button";
    element.className = `handle-${className}`;
    element.setAttribute("aria-label", label);
    element.title = label;
    element.dataset.path = key(path);
    const handle = { element, at };
    this.handles.push(handle);
    return handle;
  }

  private pointHandle(shape: Shape): void {
    const at = vertexAt(shape, [0, 0, 0]);
    if (!at) return;
    const handle = this.add(at, this.mode === "place" ? "point movable" : "point", this.words.point, [0, 0, 0]);
    if (this.mode === "place") this.makeMovable(handle, [0, 0, 0]);
    else handle.element.tabIndex = -1;
  }

  /** The sketch's points; a click on the first or last one finishes. */
  private sketchHandles(): void {
    const { positions, kind } = this.sketch ?? { positions: [], kind: "line" as const };
    for (const [index, at] of positions.entries()) {
      const ends = (kind === "polygon" && index === 0) || index === positions.length - 1;
      const handle = this.add(at, ends && positions.length >= vertexMinimum[kind] ? "vertex closing" : "vertex", this.words.vertex(index + 1, positions.length), [0, 0, index]);
      handle.element.tabIndex = -1;
      handle.element.addEventListener("click", (event) => {
        event.stopPropagation();
        const quick = this.lastClick !== null && performance.now() - this.lastClick.at < 300;
        if (ends && positions.length >= vertexMinimum[kind] && !(quick && index === positions.length - 1)) this.events.finished();
      });
      handle.element.addEventListener("dblclick", (event) => {
        event.stopPropagation();
        this.events.finished();
      });
    }
  }

  private vertexHandles(shape: Shape): void {
    const bounds = this.view.map.getBounds();
    const seen: { path: VertexPath; at: Position; next: Position | undefined; count: number }[] = [];
    for (const [part, rings] of shape.parts.entries()) {
      for (const [ring, positions] of rings.entries()) {
        for (const [index, at] of positions.entries()) {
          const next = shape.kind === "polygon" ? positions[(index + 1) % positions.length] : positions[index + 1];
          if (bounds.contains(at)) seen.push({ path: [part, ring, index], at, next, count: positions.length });
        }
      }
    }
    this.events.crowded(seen.length > HANDLES_AT_MOST);
    if (seen.length > HANDLES_AT_MOST) return;
    for (const { path, at, next, count } of seen) {
      this.makeMovable(this.add(at, "vertex", this.words.vertex(path[2] + 1, count), path), path);
      if (!next || seen.length > MIDDLES_AT_MOST || this.pixels(at, next) < 48) continue;
      const middle: Position = [(at[0] + next[0]) / 2, (at[1] + next[1]) / 2];
      const after: VertexPath = [path[0], path[1], path[2] + 1];
      const handle = this.add(middle, "middle", this.words.insert, after);
      handle.element.textContent = "+";
      handle.element.dataset.path = `middle.${key(after)}`;
      handle.element.addEventListener("click", (event) => {
        event.stopPropagation();
        this.wanted = key(after);
        if (this.shape) this.events.changed(insertVertex(this.shape, after, middle));
      });
    }
  }

  /** Dragging, long press, arrow keys and Delete. */
  private makeMovable(handle: Handle, path: VertexPath): void {
    const { element } = handle;
    let start: { x: number; y: number; at: Position; timer: number } | null = null;
    const finish = (moved: boolean) => {
      if (start) clearTimeout(start.timer);
      start = null;
      this.dragging = false;
      element.classList.remove("dragged");
      if (moved && this.shape) this.events.changed(this.shape);
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      element.focus({ preventScroll: true });
      const timer = window.setTimeout(() => {
        if (!start || this.dragging) return;
        finish(false);
        if (this.shape?.kind !== "point") this.events.removed(path);
      }, LONG_PRESS_MS);
      start = { x: event.clientX, y: event.clientY, at: handle.at, timer };
    });
    element.addEventListener("pointermove", (event) => {
      if (!start || !this.shape) return;
      const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
      if (!this.dragging && Math.hypot(dx, dy) < DRAG_PX) return;
      clearTimeout(start.timer);
      this.dragging = true;
      element.classList.add("dragged");
      this.shift(handle, path, start.at, dx, dy);
    });
    element.addEventListener("pointerup", () => { finish(this.dragging); });
    element.addEventListener("pointercancel", () => { finish(this.dragging); });
    element.addEventListener("contextmenu", (event) => {
      event.preventDefault();
      event.stopPropagation();
    });
    element.addEventListener("focus", () => { this.events.picked(path); });
    element.addEventListener("keydown", (event) => { this.keyed(event, handle, path); });
    // The map below neither pans nor takes the click.
    for (const type of ["mousedown", "touchstart", "click", "dblclick"]) element.addEventListener(type, (event) => { event.stopPropagation(); });
  }

  private shift(handle: Handle, path: VertexPath, from: Position, dx: number, dy: number): void {
    const { x, y } = this.view.map.project(from);
    const { lng, lat } = this.view.map.unproject([x + dx, y + dy]);
    const to: Position = [Number(lng.toFixed(7)), Number(lat.toFixed(7))];
    handle.at = to;
    if (this.shape) this.shape = moveVertex(this.shape, path, to);
    this.place();
    this.draw();
  }

  private keyed(event: KeyboardEvent, handle: Handle, path: VertexPath): void {
    const size = event.shiftKey ? 10 * STEP_PX : STEP_PX;
    const steps: Record<string, [number, number]> = { ArrowLeft: [-size, 0], ArrowRight: [size, 0], ArrowUp: [0, -size], ArrowDown: [0, size] };
    const move = steps[event.key];
    if (!move && event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    event.stopPropagation();
    if (move) {
      this.shift(handle, path, handle.at, ...move);
      if (this.shape) this.events.changed(this.shape);
    } else if (this.shape?.kind !== "point") this.events.removed(path);
  }
}

/** The size of a shape: its length or area in metres, and how many vertices, parts and holes. */
export function measuresOf(shape: Shape) {
  const rings = shape.parts.flat();
  return {
    length_m: shape.kind === "line" ? rings.reduce((sum, ring) => sum + lengthOf(ring), 0) : null,
    area_m2: shape.kind === "polygon" ? areaOf(shape) : null,
    vertices: verticesOf(shape).length,
    parts: shape.parts.length,
    holes: shape.parts.reduce((sum, part) => sum + part.length - 1, 0),
  };
}
