/** Tables as spreadsheets put them on the clipboard, and as CSV. */

/** Rows and cells of text copied from Excel or WPS: tabs between cells, quotes around cells that hold breaks. */
export function rowsOfTable(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let quoted = false;
  const endCell = () => {
    row.push(cell.trim());
    cell = "";
  };
  const endRow = () => {
    endCell();
    if (row.some((one) => one !== "")) rows.push(row);
    row = [];
  };
  const plain = text.replace(/\r\n?/g, "\n");
  for (let at = 0; at < plain.length; at++) {
    const char = plain.charAt(at);
    if (quoted) {
      if (char !== '"') cell += char;
      else if (plain.charAt(at + 1) === '"') {
        cell += '"';
        at++;
      } else quoted = false;
    } else if (char === '"' && cell === "") quoted = true;
    else if (char === "\t") endCell();
    else if (char === "\n") endRow();
    else cell += char;
  }
  endRow();
  const width = Math.max(0, ...rows.map((one) => one.length));
  return rows.map((one) => [...one, ...Array.from({ length: width - one.length }, () => "")]);
}

const quoted = (cell: string) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** The rows as CSV text. */
export const csvOf = (rows: string[][]) => rows.map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
