import { useApp } from "../context";
import { Board } from "./board";
import { Table } from "./table";

/** The board or the table; the map lies beneath. */
export function RegistryMain() {
  const { act, text } = useApp();
  const { collection, view } = act.registry;
  if (!collection) return <p class="nothing">{text.t("registry_empty")}</p>;
  if (view === "map") return null;
  return <main class="registry-main" data-region="list" aria-label={text.t(`view_${view}`)} tabIndex={-1}>{view === "board" ? <Board /> : <Table key={collection.id} />}</main>;
}
