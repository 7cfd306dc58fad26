import { useEffect, useRef } from "preact/hooks";
import type { MapSymbol } from "../api";
import { useApp } from "../context";
import { palettes } from "../palette";
import { themeOf } from "../state";
import { drawEntry } from "../symbols";

/** A legend entry's picture, as the map draws it. */
export function SymbolPicture({ symbol, scale = 1 }: { symbol: MapSymbol; scale?: number }) {
  const { state } = useApp();
  const theme = themeOf(state);
  const holder = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const canvas = drawEntry(symbol, theme, palettes[theme], 2);
    canvas.style.width = `${(canvas.width / 2) * scale}px`;
    canvas.style.height = `${(canvas.height / 2) * scale}px`;
    holder.current?.replaceChildren(canvas);
  }, [symbol, theme, scale]);
  return <span class="symbol" ref={holder} aria-hidden="true" />;
}
