/** The importer's own sentences in Chinese; what is not known here is told as the service says it. */
import { type Lang, Problem } from "../api";
import { reasonOf } from "../edit/requests";

const SENTENCES: [RegExp, string][] = [
  [/^longitude and latitude are swapped.*$/, "经纬度颠倒：纬度超出 −90…90"],
  [/^longitude or latitude is exactly 0$/, "经度或纬度正好为 0"],
  [/^outside −180…180 by −90…90 degrees$/, "超出经纬度范围"],
  [/^no coordinates, or they cannot be read$/, "没有坐标，或坐标无法读取"],
  [/^no geometry, or it cannot be read$/, "没有图形，或图形无法读取"],
  [/^outside the reach of (.+)$/, "超出 $1 的适用范围"],
  [/^outside (.+); longitude and latitude seem swapped$/, "不在$1范围内，经纬度可能颠倒"],
  [/^outside (.+)$/, "不在$1范围内"],
  [/^the geometry is not valid and cannot safely be repaired: (.+)$/, "图形无效，无法可靠修复：$1"],
  [/^a (.+) has no place in a layer of (.+)$/, "图形类型不符：$1，应为 $2"],
  [/^(\w+) is missing$/, "缺少必填项"],
  [/^the template's example row$/, "模板中的示例行"],
  [/^more cells than the heading: (\d+) against (\d+)$/, "单元格比标题多：$1 比 $2"],
  [/^a number that cannot be: (.+), not (.+) to (.+)$/, "数值不可能：$1，应在 $2 到 $3 之间"],
  [/^a NUL character in a text$/, "文字中有空字符"],
  [/^no item of \w+ so called: (.+)$/, "找不到所指的记录：$1"],
  [/^several items of \w+ so called: (.+)$/, "所指的记录不唯一：$1"],
  [/^the key is there with other values: fid (\d+);.*$/, "已有同一记录（编号 $1），内容不同；选择“用文件更新”可替换"],
  [/^the same key as an earlier row, with other values: row (\d+) was taken$/, "与前面的行是同一记录，内容不同；采用了第 $1 行"],
  [/^the file has a heading and no rows$/, "文件只有标题，没有数据行"],
  [/^encoding found: (.+)$/, "文字编码：$1"],
  [/^delimiter found: (.+)$/, "分隔符：$1"],
  [/^coordinates read in (.+)$/, "坐标按 $1 读取"],
  [/^the file states no CRS: read as (.+)$/, "文件没有写明坐标系，按 $1 读取"],
  [/^layer read: (.+); the file also has (.+)$/, "读取了“$1”，文件中还有 $2"],
  [/^folder read: (.+); the archive also has (.+)$/, "读取了文件夹“$1”，压缩包中还有 $2"],
  [/^file recognised: (.+) \(.+\)$/, "识别为：$1"],
  [/^column (.+): unit (.+) is not known, the column is left out$/, "列 $1 的单位 $2 无法识别，未导入"],
  [/^column (.+): read in (.+), kept in (.+)$/, "列 $1 由 $2 换算为 $3"],
  [/^title above the heading, not read: (.+)$/, "标题行以上的文字未读取：$1"],
  [/^sheet read: (.+)$/, "读取了工作表“$1”"],
  [/^(.+) has no columns for longitude and latitude; it has (.+)$/, "$1 中没有认出经度和纬度列，请在下面指定"],
  [/^no column of (.+) fits a field of \w+$/, "$1 中没有认出任何一列，请在下面指定"],
  [/^the coordinates are degrees \(the first is (.+)\); (.+) is in metres$/, "坐标以度为单位（第一个是 $1），而 $2 以米为单位"],
  [/^unknown CRS '(.+)'$/, "没有坐标系 $1"],
  [/^(GCJ-02|BD-09) is defined in China only, .*$/, "$1 只用于中国境内，文件中的坐标都不在其内"],
  [/^(.+) is empty$/, "$1 是空文件"],
  [/^(.+?)(?:, sheet .+)?(?: has|:) no heading row$/, "$1 没有标题行"],
  [/^(.+) is packed \((.+)\)$/, "$1 是 $2 压缩文件，请解压后再选，或改用 ZIP"],
  [/^(.+) is XML .*$/, "$1 是 XML（KML、GML、GPX 或虚拟文件），可能指向其他文件或网址，不能导入"],
  [/^(.+) is a JSON list$/, "$1 是 JSON 列表，应为 GeoJSON 的 FeatureCollection"],
  [/^(.+) leaves its CRS to another address, .*$/, "$1 的坐标系写在另一个网址，不会去访问；请去掉 crs，再选坐标系"],
  [/^(.+) is a damaged archive.*$/, "$1 是损坏的压缩文件"],
  [/^(.+) holds no Shapefile but (.+)$/, "$1 中没有 Shapefile，只有 $2"],
  [/^(.+) unpacks to more than (.+)$/, "$1 解压后超过 $2"],
  [/^(.+) holds more than (\d+) files$/, "$1 中的文件超过 $2 个"],
  [/^(.+) holds (.+), a name that leads out of the archive$/, "$1 中的 $2 指向压缩包之外"],
  [/^(.+) holds (.+), which is a link or device and no file$/, "$1 中的 $2 是链接或设备，不是文件"],
  [/^(.+) holds another archive, (.+)$/, "$1 中还有压缩文件 $2"],
  [/^(.+) is encrypted$/, "$1 有密码，请去掉密码"],
  [/^(.+) is a database of SQLite and no GeoPackage$/, "$1 是 SQLite 数据库，不是 GeoPackage"],
  [/^(.+) cannot be read as a (GeoPackage|spreadsheet): .*$/, "$1 无法按 $2 读取"],
  [/^(.+) is no file of a kind that can be (?:uploaded|read here).*$/, "$1 不是可以导入的文件"],
  [/^(.+) holds something else than its ending says$/, "$1 的内容与扩展名不符"],
  [/^reading the file takes too long$/, "读取文件用时过长，请分成小文件"],
  [/^reading the file (?:needs more than|was broken off).*$/, "文件过大或已损坏，无法读完"],
  [/^the file is larger than (\d+ MB).*$/, "文件超过 $1，请分成小文件，或在服务器上用命令行导入"],
];

/** A sentence of the importer in the language of the app. */
export function sentence(words: string, lang: Lang): string {
  if (lang !== "zh") return words;
  const known = SENTENCES.find(([pattern]) => pattern.test(words));
  return known ? words.replace(known[0], known[1]) : words;
}

/** Why a file was refused; in English with what would be right. */
export function refusalOf(error: unknown, lang: Lang): string {
  const words = reasonOf(error);
  const expected = error instanceof Problem ? error.members.expected : undefined;
  return lang === "zh" || typeof expected !== "string" || expected.startsWith("--") ? sentence(words, lang) : `${words}. What would be right: ${expected}`;
}

/** Whether a note says what the comparison of datums says too. */
export const isOfDatum = (note: string) => /^(whether the file is in|the points fit roads)/.test(note);
