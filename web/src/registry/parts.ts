/** What is loaded with the registry. */
export { RegistryHead } from "./head";
export { ImportPanel } from "./import";
export { RegistryMain } from "./main";
export { NextStep } from "./next_step";
export { RegistryList } from "./rows_list";
