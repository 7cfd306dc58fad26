/** The importer's own sentences in Chinese; what is not known here is told as the service says it. */
import type { Lang } from "../api";

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
];

/** A sentence of the importer in the language of the app. */
export function sentence(words: string, lang: Lang): string {
  if (lang !== "zh") return words;
  const known = SENTENCES.find(([pattern]) => pattern.test(words));
  return known ? words.replace(known[0], known[1]) : words;
}

/** Whether a note says what the comparison of datums says too. */
export const isOfDatum = (note: string) => /^(whether the file is in|the points fit roads)/.test(note);
