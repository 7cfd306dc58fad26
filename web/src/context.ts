/** The controller, for every panel. */
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { Controller } from "./controller";
import type { Text } from "./i18n";
import type { State, Store } from "./state";

export const ControllerContext = createContext<Controller | null>(null);

/** The value of a store; the panel is drawn again when it changes. */
export function useStore<T>(store: Store<T>): T {
  const [value, setValue] = useState(store.get());
  useEffect(() => {
    setValue(store.get());
    return store.subscribe(() => { setValue(store.get()); });
  }, [store]);
  return value;
}

/** Controller, state and words of the running app. */
export function useApp(): { act: Controller; state: State; text: Text } {
  const act = useContext(ControllerContext);
  if (!act) throw new Error("no controller");
  return { act, state: useStore(act.store), text: act.text };
}
