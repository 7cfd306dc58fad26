/** What is loaded with the first edit. */
export { BulkEdit } from "./bulk_edit";
export { EditPanel } from "./edit_panel";
export { EndClosure } from "./end_closure";
export { HistoryPanel } from "./history_panel";
export { MonitorForm } from "./monitor";
export { NoticeBar } from "./notice_bar";
export { PasteDialog } from "./paste_dialog";
