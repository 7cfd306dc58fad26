/** The registry, loaded when it is first opened. */
import "../registry.css";
import { later, lazily } from "../later";

const parts = lazily(() => import("./parts"));

export const RegistryHead = later(parts, (one) => one.RegistryHead);
export const RegistryMain = later(parts, (one) => one.RegistryMain);
export const RegistryList = later(parts, (one) => one.RegistryList);
export const ImportPanel = later(parts, (one) => one.ImportPanel);
export const NextStep = later(parts, (one) => one.NextStep);
