"""The layers that are there by their definitions alone: imported as registers are kept, personal fields kept back."""

from __future__ import annotations

from pathlib import Path

import pytest

from layers.catalog import catalog
from layers.database import INTERNAL, RELEASED, Readers, sql
from layers.importing import import_file
from layers.tables import view

FILES = {
    "safety_hazards": "隐患名称,隐患等级,行业,隐患单位,地址,经度,纬度,整改状态,整改期限,责任人,责任人电话,监管人员\n"
    "围堰破损,重大事故隐患,危化品,示例化工厂,城关镇,105.3,27.3,整改中,2026-12-31,示例甲,000-0000-0001,示例乙\n",
    "experts": "姓名,工作单位,专业,擅长灾种,职称,级别,手机\n"
    "示例丙,示例监测站,工程地质,滑坡、崩塌,高级工程师,市级,000-0000-0002\n",
    "response_plans": "预案名称,预案类别,适用灾种,发布单位,发布日期,联系人,电话\n"
    "云岭县防汛应急预案,专项,洪水,云岭县人民政府,2024-05-20,示例丁,000-0000-0003\n",
    "drills": "演练名称,演练形式,灾种,状态,演练时间,参演人数,地点,经度,纬度,联系人\n"
    "马鞍镇避险演练,避险演练,滑坡,已完成,2026-05-12,120,马鞍镇,105.3,27.3,示例戊\n",
    "grid_cells": "网格名称,网格级别,户数,网格员,网格员电话,WKT\n"
    '第一网格,乡镇,80,示例己,000-0000-0004,"POLYGON((105 27,105.1 27,105.1 27.1,105 27))"\n',
}


@pytest.mark.parametrize("layer", FILES)
def test_a_register_is_read_and_its_people_are_kept_back(layer: str, database: str, tmp_path: Path) -> None:
    path = tmp_path / f"{layer}.csv"
    path.write_text(FILES[layer], encoding="utf-8")
    report = import_file(database, layer, path)
    assert report.line() == "read 1, imported 1, updated 0, unchanged 0, rejected 0"
    assert (report.unused, report.unread) == ([], {})
    definition = catalog()[layer]
    found = {}
    for scope in (RELEASED, INTERNAL):
        readers = Readers(database, scope, size=1)
        query = sql.SQL("SELECT row_to_json(i)::text FROM {} AS i").format(view(definition, scope))
        ((found[scope],),) = readers.rows(query)
        readers.close()
    for word in ("示例甲", "示例乙", "示例丙", "示例丁", "示例戊", "示例己", "000-"):
        assert word not in found[RELEASED]
        assert (word in found[INTERNAL]) == (word in FILES[layer])
    assert not any(field.personal and field.public for field in definition.fields.values())
