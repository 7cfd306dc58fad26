/** Colours of the land and its labels in both themes. */
export type Theme = "light" | "dark";

export interface Palette {
  land: string;
  built: string;
  casing: string;
  label: string;
  halo: string;
  route: string;
  skipped: string;
  edited: string;
  crossing: string;
  /** The ground reached first, then, and last. */
  reach: [string, string, string];
}

export const palettes: Record<Theme, Palette> = {
  light: { land: "#F3F1EA", built: "#E8E4DC", casing: "#B9B1A0", label: "#2B3138", halo: "#FFFFFF", route: "#0B4FD6", skipped: "#6B6F76", edited: "#8A1FB8", crossing: "#A3001C", reach: ["#5B3E9E", "#9478C4", "#CDBEE6"] },
  dark: { land: "#1A2026", built: "#232A31", casing: "#10151A", label: "#D9DFE5", halo: "#11161B", route: "#6FA8FF", skipped: "#A8B2BC", edited: "#D79BFF", crossing: "#FF8F94", reach: ["#B79CF0", "#7E63B8", "#4D3D77"] },
};

export const INK = "#1B1F24";
export const INCIDENT = "#C90089";
export const RANK = "#0B4FD6";

function channels(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = channels(hex).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The WCAG contrast of two colours, 1 to 21. */
export function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

/** `from` moved towards `to` by a share of 0 to 1. */
export function mix(from: string, to: string, share: number): string {
  const [a, b] = [channels(from), channels(to)];
  return `#${a.map((c, i) => Math.round(c + ((b[i] ?? 0) - c) * share).toString(16).padStart(2, "0")).join("")}`;
}

/** Hue in degrees, saturation and lightness as shares. */
function hsl(hex: string): [number, number, number] {
  const [r, g, b] = channels(hex).map((c) => c / 255) as [number, number, number];
  const [high, low] = [Math.max(r, g, b), Math.min(r, g, b)];
  const spread = high - low;
  const lightness = (high + low) / 2;
  if (spread === 0) return [0, 0, lightness];
  const hue = high === r ? ((g - b) / spread) % 6 : high === g ? (b - r) / spread + 2 : (r - g) / spread + 4;
  return [hue * 60, spread / (1 - Math.abs(2 * lightness - 1)), lightness];
}

function hexOf(hue: number, saturation: number, lightness: number): string {
  const part = (n: number) => {
    const k = (n + hue / 30 + 12) % 12;
    const value = lightness - saturation * Math.min(lightness, 1 - lightness) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(value * 255).toString(16).padStart(2, "0");
  };
  return `#${part(0)}${part(8)}${part(4)}`;
}

/** A text colour with the hue of `color`, as light or dark as it must be to read on the halo. */
export function textColor(color: string, palette: Palette): string {
  const [hue, saturation, start] = hsl(color);
  const step = luminance(palette.halo) > 0.5 ? -0.03 : 0.03;
  for (let lightness = start; lightness >= 0 && lightness <= 1; lightness += step) {
    const tried = hexOf(hue, saturation, lightness);
    if (contrast(tried, palette.halo) >= 5) return tried;
  }
  return palette.label;
}
