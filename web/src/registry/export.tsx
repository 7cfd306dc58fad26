import { useState } from "preact/hooks";
import { along, withQuery } from "../api";
import { useApp } from "../context";
import { Popup } from "../panels/popup";

const FORMATS = ["xlsx", "csv", "gpkg", "geojson", "shp", "fgb", "parquet"] as const;
const CRS = ["EPSG:4326", "EPSG:4490", "GCJ-02", "BD-09"];
/** Formats that hold positions in degrees of WGS 84 and nothing else. */
const WGS84_ONLY = ["geojson"];

/** The list that is shown, or the whole layer, as a file. */
export function Export() {
  const { act, state, text } = useApp();
  const [format, setFormat] = useState<string>("xlsx");
  const [chinese, setChinese] = useState(text.lang === "zh");
  const [crs, setCrs] = useState("EPSG:4326");
  const { collection, isFiltered } = act.registry;
  if (!collection) return null;
  const { state: list, missing, area, q, fields } = state.registry.filter;
  const address = withQuery(`/collections/${collection.id}/export`, {
    ...fields, state: list, missing, area, q, as_of: along.asOf,
    format, headings: chinese ? "zh" : "names", crs: crs === "EPSG:4326" || WGS84_ONLY.includes(format) ? null : crs,
  });
  return (
    <Popup label={text.t("export")} class="export">
      <label>{text.t("export_format")}
        <select value={format} onChange={(event) => { setFormat(event.currentTarget.value); }}>
          {FORMATS.map((one) => <option key={one} value={one}>{text.t(`format_${one}`)}</option>)}
        </select>
      </label>
      {collection.layer.geometry !== "none" && !WGS84_ONLY.includes(format) && (
        <label>{text.t("import_crs")}
          <select value={crs} onChange={(event) => { setCrs(event.currentTarget.value); }}>
            {CRS.map((one) => <option key={one} value={one}>{text.try(`crs_${one}`, one)}</option>)}
          </select>
        </label>
      )}
      <label class="check"><input type="checkbox" checked={chinese} onChange={(event) => { setChinese(event.currentTarget.checked); }} /><span>{text.t("export_headings")}</span></label>
      <p class="muted">{text.t(isFiltered ? "export_list" : "export_all")}</p>
      <a class="button primary" href={address} download>{text.t("export_get")}</a>
    </Popup>
  );
}
