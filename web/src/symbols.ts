/** Legend entries drawn to canvas: the same pictures on the map, in the legend and in lists. */
import type { MapSymbol, Shape } from "./api";
import { ICON_SIZE, iconPath } from "./icons";
import { contrast, INCIDENT, INK, mix, type Palette, RANK, type Theme } from "./palette";

const HALO = 2;
const LINE = 1.25;
const FONT = '"Noto Sans SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif';

export const colorOf = (symbol: MapSymbol, theme: Theme) =>
  theme === "dark" ? (symbol.color_dark ?? symbol.color) : symbol.color;

export const opacityOf = (symbol: MapSymbol, theme: Theme) =>
  theme === "dark" ? (symbol.opacity_dark ?? symbol.opacity) : symbol.opacity;

export const isPoint = (shape: Shape) => shape !== "line" && shape !== "fill";

/** A canvas of `width` × `height` CSS pixels whose context is scaled to `ratio` device pixels. */
function canvasOf(width: number, height: number, ratio: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(width * ratio);
  canvas.height = Math.ceil(height * ratio);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no 2d canvas");
  context.scale(ratio, ratio);
  return [canvas, context];
}

function polygon(path: Path2D, corners: [number, number][]): void {
  corners.forEach(([x, y], index) => {
    if (index === 0) path.moveTo(x, y);
    else path.lineTo(x, y);
  });
  path.closePath();
}

/** The outline of a shape of the given size around 0, 0. */
function outlineOf(shape: Shape, size: number): Path2D {
  const path = new Path2D();
  const r = size / 2;
  switch (shape) {
    case "square":
      path.roundRect(-r, -r, size, size, size * 0.18);
      break;
    case "diamond":
      polygon(path, [[0, -r], [r, 0], [0, r], [-r, 0]]);
      break;
    case "triangle":
      polygon(path, [[0, -r], [r, r * 0.8], [-r, r * 0.8]]);
      break;
    case "octagon":
      polygon(path, Array.from({ length: 8 }, (_, i): [number, number] => {
        const angle = ((i + 0.5) * Math.PI) / 4;
        return [r * Math.cos(angle), r * Math.sin(angle)];
      }));
      break;
    case "shield":
      path.moveTo(0, -r);
      path.quadraticCurveTo(r * 0.55, -r * 0.72, r * 0.86, -r * 0.74);
      path.quadraticCurveTo(r, r * 0.5, 0, r);
      path.quadraticCurveTo(-r, r * 0.5, -r * 0.86, -r * 0.74);
      path.quadraticCurveTo(-r * 0.55, -r * 0.72, 0, -r);
      path.closePath();
      break;
    case "house":
      polygon(path, [[0, -r], [r, -r * 0.25], [r, r * 0.92], [-r, r * 0.92], [-r, -r * 0.25]]);
      break;
    case "cross": {
      const [a, b] = [r * 0.34, r];
      polygon(path, [[0, -a], [b - a, -b], [b, -b + a], [a, 0], [b, b - a], [b - a, b], [0, a], [-b + a, b], [-b, b - a], [-a, 0], [-b, -b + a], [-b + a, -b]]);
      break;
    }
    default:
      path.arc(0, 0, r, 0, 2 * Math.PI);
  }
  return path;
}

/** How far a shape's middle lies below its box, as a share of its size. */
const MIDDLE: Partial<Record<Shape, number>> = { triangle: 0.12, house: 0.1, shield: -0.04 };

/** Side of the picture of a point symbol, in CSS pixels. */
export const pictureSize = (symbol: MapSymbol) => Math.ceil(symbol.size + 2 * (HALO + LINE)) + 2;

/** A point symbol: shape with an ink line inside a white halo, and pictogram or text in it. */
export function drawPoint(symbol: MapSymbol, theme: Theme, ratio: number): HTMLCanvasElement {
  const side = pictureSize(symbol);
  const [canvas, context] = canvasOf(side, side, ratio);
  const fill = colorOf(symbol, theme);
  const hollow = contrast(fill, "#FFFFFF") < 1.2;
  const small = symbol.size < 12;
  context.translate(side / 2, side / 2);
  const shape = outlineOf(symbol.shape, symbol.size);
  context.lineJoin = "round";
  context.strokeStyle = "#FFFFFF";
  context.lineWidth = (small ? 1 : HALO) * 2 + (small ? 0 : LINE);
  context.stroke(shape);
  context.fillStyle = fill;
  context.fill(shape);
  if (!small) {
    context.strokeStyle = symbol.outline ?? INK;
    context.lineWidth = symbol.outline ? LINE * 1.5 : LINE;
    context.setLineDash(symbol.dash);
    if (symbol.dash.length > 0 && !symbol.outline) context.strokeStyle = "#FFFFFF";
    context.stroke(shape);
    context.setLineDash([]);
  }
  const ink = hollow ? (symbol.outline ?? INK) : contrast(fill, "#FFFFFF") >= 3 ? "#FFFFFF" : INK;
  context.translate(0, symbol.size * (MIDDLE[symbol.shape] ?? 0));
  const icon = symbol.icon ? iconPath(symbol.icon) : undefined;
  if (icon) {
    const share = symbol.shape === "house" || symbol.shape === "shield" ? 0.6 : 0.68;
    const scale = (symbol.size * share) / ICON_SIZE;
    context.save();
    context.scale(scale, scale);
    context.translate(-ICON_SIZE / 2, -ICON_SIZE / 2);
    context.fillStyle = ink;
    context.fill(icon);
    context.restore();
  } else if (symbol.text) {
    context.font = `700 ${Math.round(symbol.size * 0.58)}px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = ink;
    context.fillText(symbol.text, 0, symbol.size * 0.03);
  }
  if (symbol.icon?.endsWith("-slash")) {
    const r = symbol.size / 2 + 0.5;
    for (const [width, color] of [[4.5, "#FFFFFF"], [2.5, "#A3001C"]] as const) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(-r, r);
      context.lineTo(r, -r);
      context.stroke();
    }
  }
  return canvas;
}

/** Room beside a cluster's disc for the symbol at its corner. */
const CORNER = 9;

/** A cluster without its number: a white disc in a ring, and the symbol of a rule small at the corner. Only a grade has a wide ring. */
export function drawCluster(symbol: MapSymbol, theme: Theme, size: number, graded: boolean, ratio: number): HTMLCanvasElement {
  const side = size + 2 * CORNER;
  const [canvas, context] = canvasOf(side, side, ratio);
  const color = colorOf(symbol, theme);
  const hollow = contrast(color, "#FFFFFF") < 1.2;
  const ring = graded ? 4 : 2.5;
  const disc = (radius: number, fill: string) => {
    context.fillStyle = fill;
    context.beginPath();
    context.arc(side / 2, side / 2, radius, 0, 2 * Math.PI);
    context.fill();
  };
  disc(size / 2 + LINE + 1, "#FFFFFF");
  disc(size / 2 + LINE, graded ? INK : "#FFFFFF");
  disc(size / 2, hollow ? (symbol.outline ?? INK) : color);
  if (hollow && symbol.dash.length > 0) {
    context.strokeStyle = "#FFFFFF";
    context.lineWidth = ring;
    context.setLineDash([4, 4]);
    context.beginPath();
    context.arc(side / 2, side / 2, (size - ring) / 2, 0, 2 * Math.PI);
    context.stroke();
  }
  disc(size / 2 - ring, "#FFFFFF");
  const shape = isPoint(symbol.shape) ? symbol.shape : "square";
  const corner = drawPoint({ ...symbol, shape, size: Math.round(size * (symbol.icon ? 0.5 : 0.42)), ...(shape !== symbol.shape && { dash: [], icon: null, text: null }) }, theme, ratio);
  const width = corner.width / ratio;
  const at = side / 2 + (size / 2) * Math.SQRT1_2 - width / 2;
  context.drawImage(corner, Math.min(at, side - width), Math.max(side - at - width, 0), width, width);
  return canvas;
}

/** A seamless tile of 45° lines or dots in a darker (light theme) or lighter (dark theme) tone of the fill. */
export function drawPattern(symbol: MapSymbol, theme: Theme, ratio: number): HTMLCanvasElement {
  const step = symbol.pattern === "lines-8" ? 8 : symbol.pattern === "lines-12" ? 12 : 8;
  const side = symbol.pattern === "dots" ? step : step * Math.SQRT2;
  const pixels = Math.round(side * ratio);
  const [canvas, context] = canvasOf(pixels / ratio, pixels / ratio, ratio);
  const exact = pixels / ratio;
  const tone = mix(colorOf(symbol, theme), theme === "light" ? "#000000" : "#FFFFFF", theme === "light" ? 0.38 : 0.35);
  context.fillStyle = tone;
  context.strokeStyle = tone;
  context.lineWidth = 1.4;
  if (symbol.pattern === "dots") {
    context.beginPath();
    context.arc(exact / 2, exact / 2, 1, 0, 2 * Math.PI);
    context.fill();
    return canvas;
  }
  context.beginPath();
  for (const shift of [-exact, 0, exact]) {
    context.moveTo(shift - 2, exact + 2);
    context.lineTo(shift + exact + 2, -2);
  }
  context.stroke();
  return canvas;
}

/** The line around a filled area. */
export const fillOutline = (symbol: MapSymbol, theme: Theme) =>
  (theme === "light" ? symbol.outline : null) ??
  mix(colorOf(symbol, theme), theme === "light" ? "#000000" : "#FFFFFF", theme === "light" ? 0.35 : 0.15);

/** A sample of a line or a filled area for the legend, 28 × 18 CSS pixels. */
function drawSwatch(symbol: MapSymbol, theme: Theme, palette: Palette, ratio: number): HTMLCanvasElement {
  const [canvas, context] = canvasOf(28, 18, ratio);
  context.fillStyle = palette.land;
  context.fillRect(0, 0, 28, 18);
  if (symbol.shape === "fill") {
    context.globalAlpha = opacityOf(symbol, theme);
    context.fillStyle = colorOf(symbol, theme);
    context.fillRect(1, 1, 26, 16);
    context.globalAlpha = 1;
    if (symbol.pattern !== "none") {
      const pattern = context.createPattern(drawPattern(symbol, theme, ratio), "repeat");
      pattern?.setTransform(new DOMMatrix().scale(1 / ratio));
      if (pattern) context.fillStyle = pattern;
      context.fillRect(1, 1, 26, 16);
    }
    context.strokeStyle = fillOutline(symbol, theme);
    context.lineWidth = symbol.width;
    context.setLineDash(symbol.dash.map((part) => part * symbol.width));
    context.strokeRect(1, 1, 26, 16);
    return canvas;
  }
  const lines: [number, string][] = symbol.outline ? [[symbol.width + 2.5, theme === "light" ? symbol.outline : palette.casing]] : [];
  lines.push([symbol.width, colorOf(symbol, theme)]);
  for (const [width, color] of lines) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(symbol.dash.map((part) => part * width));
    context.beginPath();
    context.moveTo(1, 9);
    context.lineTo(27, 9);
    context.stroke();
  }
  return canvas;
}

/** The picture of any legend entry. */
export const drawEntry = (symbol: MapSymbol, theme: Theme, palette: Palette, ratio: number) =>
  isPoint(symbol.shape) ? drawPoint(symbol, theme, ratio) : drawSwatch(symbol, theme, palette, ratio);

/** A disc with a ring and a few characters: ranks, the mark of what was not chosen. */
function drawDisc(size: number, fill: string, ring: string, width: number, text: string, ink: string, ratio: number): HTMLCanvasElement {
  const [canvas, context] = canvasOf(size + 4, size + 4, ratio);
  const middle = size / 2 + 2;
  context.beginPath();
  context.arc(middle, middle, size / 2, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  context.lineWidth = width;
  context.strokeStyle = ring;
  context.stroke();
  context.fillStyle = ink;
  context.font = `700 ${Math.round(size * 0.66)}px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, middle, middle + size * 0.04);
  return canvas;
}

/** The blue badge of a rank. */
export const drawRank = (rank: string, ratio: number) => drawDisc(18, RANK, "#FFFFFF", 2, rank, "#FFFFFF", ratio);

/** The badge of a nearer place that was not chosen; `full` carries its own sign. */
export const drawSkipped = (reason: string, ratio: number) =>
  reason === "full" ? drawDisc(18, INK, "#FFFFFF", 1.5, "满", "#FFFFFF", ratio) : drawDisc(17, "#FFFFFF", "#6B6F76", 2, "✕", "#535C66", ratio);

/** The incident: a disc of 26 in a ring. */
export function drawIncident(ratio: number): HTMLCanvasElement {
  const [canvas, context] = canvasOf(54, 54, ratio);
  context.translate(27, 27);
  context.fillStyle = `${INCIDENT}30`;
  context.strokeStyle = INCIDENT;
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(0, 0, 25, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  context.fillStyle = INCIDENT;
  context.strokeStyle = "#FFFFFF";
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(0, 0, 13, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  context.lineWidth = 3;
  context.beginPath();
  context.moveTo(-6, 0);
  context.lineTo(6, 0);
  context.moveTo(0, -6);
  context.lineTo(0, 6);
  context.stroke();
  return canvas;
}
