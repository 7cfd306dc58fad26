/** What Escape closes, innermost last. */
import { useEffect, useRef } from "preact/hooks";

const open: (() => boolean)[] = [];

/** Closes the innermost thing that is open here; false when there is none. */
export const escapeInnermost = (): boolean => open.toReversed().some((close) => close());

/** While `active`, Escape calls `close`; it says whether there was something to close. */
export function useEscape(close: () => boolean, active = true): void {
  const latest = useRef(close);
  latest.current = close;
  useEffect(() => {
    if (!active) return;
    const entry = () => latest.current();
    open.push(entry);
    return () => { open.splice(open.indexOf(entry), 1); };
  }, [active]);
}
