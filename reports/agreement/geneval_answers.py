"""A person's answers about a picture, held against what GenEval's prompt asks for (Ghosh et al. 2023, human study).

Right is: as many of each object as asked (and fewer than an exclusion names), the colour among those chosen, and the
relation as asked. Position is that of object 1 seen from object 0.
"""

from __future__ import annotations

from typing import Any

from reports.agreement.files import Row
from reports.agreement.mapping import GenevalRule

_ANSWERS = {"left of": "left", "right of": "right", "above": "above", "below": "below"}


def answers_hold(rule: GenevalRule, row: Row) -> bool:
    """Whether the answers of a row meet the prompt.

    Raises:
        DataError: the metadata names a relation that the form does not ask about, or a cell is no number.
    """
    include: list[dict[str, Any]] = row.cell(f"{rule.metadata}.include")
    exclude: list[dict[str, Any]] = row.cells.get(f"{rule.metadata}.exclude") or []
    return all(_object_holds(rule, row, place, wanted, exclude) for place, wanted in enumerate(include))


def _object_holds(
    rule: GenevalRule, row: Row, place: int, wanted: dict[str, Any], exclude: list[dict[str, Any]]
) -> bool:
    count = _count(row, rule.count.format(place))
    ceilings = [entry["count"] for entry in exclude if entry["class"] == wanted["class"]]
    if count < wanted["count"] or any(count >= ceiling for ceiling in ceilings):
        return False
    if "color" in wanted:
        named = set(str(row.cell(rule.color.format(place))).split("|"))
        if wanted["color"] not in named or (rule.strict and named != {wanted["color"]}):
            return False
    return "position" not in wanted or _stands(rule, row, wanted["position"])


def _stands(rule: GenevalRule, row: Row, position: list[Any]) -> bool:
    relation = position[0]
    if relation not in _ANSWERS:
        raise row.fault(f"expected a relation of {', '.join(_ANSWERS)}, got {relation!r}")
    column = rule.x if relation in ("left of", "right of") else rule.y
    return bool(row.cell(column) == _ANSWERS[relation])


def _count(row: Row, column: str) -> float:
    cell = row.cell(column)
    if cell in (None, ""):
        return 0.0
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise row.fault(f"expected a number under {column!r}, got {cell!r}") from None
