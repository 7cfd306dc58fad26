import type { ComponentChildren } from "preact";
import { render } from "preact";
import { useContext, useEffect, useLayoutEffect, useState } from "preact/hooks";
import { ControllerContext } from "../context";

/** Draws its children over the map, wherever in the panel it stands. */
export function OnMap({ children }: { children: ComponentChildren }) {
  const act = useContext(ControllerContext);
  const [holder] = useState(() => document.createElement("div"));
  useEffect(() => {
    document.querySelector(".map-pane")?.append(holder);
    return () => {
      render(null, holder);
      holder.remove();
    };
  }, [holder]);
  useLayoutEffect(() => {
    render(<ControllerContext.Provider value={act}>{children}</ControllerContext.Provider>, holder);
  });
  return null;
}
