"""OpenStreetMap extracts into layers, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from layers import osm
from layers.database import transaction
from layers.importing import import_frames

SOURCE_ID = "osm"


def import_osm(
    url: str, path: Path, progress: Callable[[float], None] | None = None, author: str | None = None
) -> dict[str, Any]:
    """Import an extract; what became of each object and each row, by layer.

    Parameters
    ----------
    author : str, optional
        Who imports, for the change log.

    Returns
    -------
    dict
        ``layers``: for each layer the objects read, those that gave rows, those left out by reason, and the counts of
        the rows (``line``). ``objects = objects_imported + left_out``.
    """
    extract = osm.read(path)
    if progress:
        progress(0.5)
    with transaction(url, author) as cursor:
        reports = import_frames(
            cursor, extract.layers, SOURCE_ID, osm.SOURCE, lambda r: progress(0.5 + 0.5 * r) if progress else None
        )
    answer: dict[str, Any] = {"file": path.name, "source": SOURCE_ID, "layers": {}}
    for layer, report in reports.items():
        account = extract.account[layer]
        answer["layers"][layer] = {
            "objects": account.read,
            "objects_imported": account.imported,
            "left_out": len(account.left_out),
            "left_out_reasons": dict(Counter(reason for _, reason in account.left_out).most_common()),
            "read": report.read, "imported": report.imported, "updated": report.updated, "unchanged": report.unchanged,
            "rejected": report.rejected, "reasons": report.reasons, "line": report.line(),
        }  # fmt: skip
    return answer
