"""``./dev bench [GROUP …] [--json]``: the measures of the groups, or of all of them.

A measure is a dict with ``name value unit peer ratio goal met`` and often a ``note``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from typing import Any

GROUPS = {
    "import": ["benchmarks.imports"],
    "nearest": ["benchmarks.agreement", "benchmarks.nearest"],
    "store": ["benchmarks.store"],
    "tiles": ["benchmarks.tiles"],
    "roads": ["benchmarks.roads"],
}


def line(measure: dict[str, Any]) -> str:
    """A measure for people."""
    ratio = f", {measure['ratio']:.2f} × {measure['peer']}" if measure.get("ratio") is not None else ""
    met = {True: "met", False: "NOT met", None: "no goal"}[measure.get("met")]
    note = f"\n    {measure['note']}" if measure.get("note") else ""
    value, goal = f"{measure['value']:.4g} {measure['unit']}", measure.get("goal") or "–"
    return f"{measure['name']}: {value}{ratio}; goal {goal}: {met}{note}"


def main() -> int:
    """Run the groups; 1 when a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", help=f"{', '.join(GROUPS)}; none: all")
    parser.add_argument("--json", action="store_true", help="a line of JSON a measure")
    arguments = parser.parse_args()
    missed = False
    modules = [module for group in arguments.groups or GROUPS for module in GROUPS[group]]
    for module in modules:
        for measure in importlib.import_module(module).measures():
            print(json.dumps(measure, ensure_ascii=False) if arguments.json else line(measure), flush=True)
            missed |= measure.get("met") is False
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
