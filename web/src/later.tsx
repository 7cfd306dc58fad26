/** Parts of the app that are loaded when they are first wanted. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useApp } from "./context";

/** A module that is loaded once; a failed try is made again. */
export function lazily<Module>(load: () => Promise<Module>): { load: () => Promise<Module>; loaded: () => Module | null } {
  let loading: Promise<Module> | null = null;
  let loaded: Module | null = null;
  return {
    load: () => {
      loading ??= load().then(
        (module) => (loaded = module),
        (error: unknown) => {
          loading = null;
          throw error;
        },
      );
      return loading;
    },
    loaded: () => loaded,
  };
}

/** A component of such a module, in whose place a skeleton stands until it is there. */
export function later<Module, Props extends object>(module: ReturnType<typeof lazily<Module>>, pick: (module: Module) => ComponentType<Props>) {
  return function Later(props: Props) {
    const { text } = useApp();
    const [loaded, setLoaded] = useState<Module | null>(module.loaded());
    const [failed, setFailed] = useState("");
    const [tries, setTries] = useState(0);
    useEffect(() => {
      if (!loaded) module.load().then((one) => { setLoaded(() => one); }, (error: unknown) => { setFailed(error instanceof Error ? error.message : String(error)); });
    }, [tries]);
    if (loaded) {
      const Part = pick(loaded);
      return <Part {...props} />;
    }
    if (failed === "") return <div class="skeleton" aria-label={text.t("loading")}><i /><i /><i /></div>;
    return <p class="problem" role="alert">{text.t("failed")}: {failed} <button type="button" class="link" onClick={() => { setFailed(""); setTries(tries + 1); }}>{text.t("retry")}</button></p>;
  };
}
