"""Chinese place names that sound like south-west China and belong to nowhere in particular."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from pypinyin import Style, lazy_pinyin

COUNTY = "云岭县"
COUNTY_CODE = "999901"
CITY = "示例市"
CITY_CODE = "9999"
NOTE = "示例数据，非真实 · Sample data, not real"

TOWNSHIPS = (
    "城关",
    "青溪",
    "石门",
    "白水",
    "马鞍",
    "龙井",
    "大湾",
    "松林",
    "桃坪",
    "黄泥",
    "落水",
    "新场",
    "高山",
    "坪上",
    "箐口",
    "麻园",
    "沙坝",
    "鸡鸣",
    "长岩",
    "红岩",
    "双河",
    "茶店",
    "野鹿",
    "竹坪",
    "三岔",
    "铁厂",
    "营盘",
    "杉树",
    "木梳",
    "石板",
)
_FIRST = tuple("青白黄红金银龙凤云石松柏桃梨竹茶马牛羊鹿鹤铁铜盐沙泥平长高清双")
_SECOND = tuple("溪水塘坪坝岩山岭沟湾洞井河桥场店寨营屯田林坡关垭箐冲")
_SURNAMES = tuple(
    "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
)
_FEATURES = (
    "湾",
    "寨",
    "坡",
    "沟",
    "坝",
    "坪",
    "垭",
    "岩",
    "冲",
    "箐",
    "院",
    "营",
    "屯",
    "店",
    "桥",
    "渡",
    "田",
    "塘",
    "山",
    "岭",
    "洞",
    "坳",
    "园",
    "林",
    "井",
    "屋基",
    "田坝",
    "大院",
    "垭口",
    "老屋",
)
_QUALIFIERS = tuple("大小上下新老前后东西中外")
_TREES = (
    "核桃",
    "板栗",
    "皂角",
    "香樟",
    "杨柳",
    "枫香",
    "银杏",
    "杜鹃",
    "刺梨",
    "花椒",
    "苦竹",
    "油菜",
    "石榴",
    "枇杷",
    "樱桃",
    "橙子",
    "马桑",
    "青冈",
    "红豆",
    "野鸭",
)
_RIVERS = (
    "清",
    "乌",
    "白",
    "赤",
    "响",
    "沙",
    "木",
    "梅",
    "桃",
    "倒",
    "落",
    "双",
    "长",
    "青",
    "黑",
    "龙",
    "鱼",
    "冷",
    "月",
    "竹",
    "瓦",
    "杉",
    "板",
    "盐",
    "麻",
)
_RIVER_SECOND = (
    "水",
    "溪",
    "岩",
    "沙",
    "潭",
    "洞",
    "江",
    "塘",
    "石",
    "滩",
    "桥",
    "坝",
    "马",
    "岭",
    "花",
    "沟",
)

Names = npt.NDArray[np.object_]


def settlement_names(count: int, rng: np.random.Generator) -> Names:
    """``count`` different names without the last word (村, 组); when the pool runs out they are numbered."""
    pool = [f"{a}家{b}" for a, b in product(_SURNAMES, _FEATURES)]
    pool += [f"{a}{b}" for a, b in product(_FIRST, _SECOND) if a != b]
    pool += [f"{a}{b}" for a, b in product(_TREES, _FEATURES)]
    plain = list(dict.fromkeys(pool))
    if count <= len(plain):
        return _drawn(plain, count, rng)
    qualified = [f"{q}{name}" for q, name in product(_QUALIFIERS, plain)]
    further = _drawn([name for name in qualified if name not in set(plain)], count - len(plain), rng)
    return np.concatenate([_drawn(plain, len(plain), rng), further])


def river_names(count: int, rng: np.random.Generator) -> Names:
    """``count`` different names without the last word (河, 溪); the first, for the largest river, is 清水."""
    plain = [f"{a}{b}" for a, b in product(_RIVERS, _RIVER_SECOND) if a != b]
    qualified = [f"{q}{name}" for q, name in product("大小上下", plain)]
    further = _drawn(qualified, max(count - len(plain), 0), rng)
    return np.concatenate([plain[:1], _drawn(plain[1:], min(count, len(plain)) - 1, rng), further])


def township_names(count: int, rng: np.random.Generator) -> list[str]:
    """Names of ``count`` townships, 城关镇 first."""
    stems = list(TOWNSHIPS)
    spare = [f"{a}{b}" for a, b in product(_FIRST, _SECOND) if a != b and f"{a}{b}" not in TOWNSHIPS]
    stems += [spare[i] for i in rng.permutation(len(spare))]
    kinds = rng.choice(["镇", "乡"], size=count, p=[0.6, 0.4])
    return ["城关镇", *(f"{stem}{kind}" for stem, kind in zip(stems[1:count], kinds[1:], strict=True))]


def latin(name: str) -> str:
    """The name in Latin script, as one capitalised word."""
    return "".join(lazy_pinyin(name, style=Style.NORMAL)).capitalize()


def _drawn(pool: list[str], count: int, rng: np.random.Generator) -> Names:
    order = rng.permutation(len(pool))
    names = np.array(pool, dtype=object)[order[np.arange(count) % len(pool)]]
    rounds = np.arange(count) // len(pool)
    numbered = rounds > 0
    names[numbered] = names[numbered] + "第" + (rounds[numbered] + 1).astype(str).astype(object)
    return names
