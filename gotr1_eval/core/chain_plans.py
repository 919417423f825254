"""The plans of a chain that are written as JSON or Python literals."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gotr1_eval.core.chain_scale import WrittenBox, WrittenObject
from gotr1_eval.core.chain_types import Defect
from gotr1_eval.core.names import spelling
from gotr1_eval.core.reading.box_values import RawBox, boxes_in, label_of
from gotr1_eval.core.reading.literals import Items, Leaf, Pairs, State, Structure, Value, find_structures
from gotr1_eval.core.reading.reply import UnreadableReply

_JSON = re.compile(r"\[\s*\{|\{|\[\s*[\[(]\s*[\"']")
"""Where the first plan may begin: an object, a list of objects, or a list of pairs ``[("cat", [...]), ...]``."""
_DECIMAL = re.compile(r"[0-9]\.|\.[0-9]")


def json_plans(text: str) -> list[Structure]:
    """The JSON structures of a chain that hold objects, in order."""
    first = _JSON.search(text)
    if first is None:
        return []
    start = first.start()
    return [
        Structure(one.value, one.start + start, one.end + start, one.state)
        for one in find_structures(text[start:])
        if any(_boxes_or_fault(entry) for entry in _entries(one.value))
    ]


def objects_of(plan: Structure, text: str, before: Sequence[WrittenObject]) -> tuple[list[WrittenObject], list[Defect]]:
    """The objects of a JSON plan, without those that the prose before it gives in the same place; and its defects."""
    span = (plan.start, plan.end)
    decimal = _DECIMAL.search(text[slice(*span)]) is not None
    known = {(spelling(one.name), one.box.numbers) for one in before}
    objects: list[WrittenObject] = []
    defects: list[Defect] = []
    for entry in _entries(plan.value):
        found = _boxes_or_fault(entry)
        if isinstance(found, Defect):
            if name := _label(entry):
                objects.append(WrittenObject(name, WrittenBox((), (found,)), span))
            else:
                defects.append(found)
        for raw in found if isinstance(found, list) else ():
            name = " ".join((raw.label or (raw.hints[0] if len(raw.hints) == 1 else "")).split())
            if not name:
                defects.append(Defect.UNNAMED_BOX)
            elif (spelling(name), raw.corners()) not in known:
                objects.append(WrittenObject(name, WrittenBox(raw.corners(), (), decimal, of_paper=False), span))
    if plan.state is State.CUT and not any(Defect.CUT_OFF in one.box.faults for one in (*before, *objects)):
        defects.append(Defect.CUT_OFF)
    return objects, list(dict.fromkeys(defects))


def _entries(value: Value) -> list[Pairs | Items]:
    """The objects of a list, or under a wrapping key; else the object itself. A name with a list is an object, too."""
    if isinstance(value, Items):
        if _is_named_list(value):
            return [value]
        return [entry for inner in value.values for entry in _entries(inner)]
    if not isinstance(value, Pairs):
        return []
    wrapped = [entry for _, inner in value.pairs if isinstance(inner, Items) for entry in _entries(inner)]
    return wrapped or [value]


def _is_named_list(value: Items) -> bool:
    """Whether a list is a pair such as ``("cat", [0, 400, 200, 600])``."""
    match value.values:
        case [Leaf(quoted=True), Items()]:
            return True
    return False


def _label(entry: Pairs | Items) -> str:
    """The name of an entry, white space folded; empty where it has none."""
    if isinstance(entry, Items):
        name = entry.values[0]
        return " ".join(name.text.split()) if isinstance(name, Leaf) else ""
    return " ".join((label_of(entry) or "").split())


def _boxes_or_fault(entry: Pairs | Items) -> list[RawBox] | Defect | None:
    """The boxes of an entry; what is wrong with it; None where it is no object of a plan."""
    try:
        found = boxes_in(entry)
    except UnreadableReply:
        return Defect.MISSING_NUMBER if entry.closed else Defect.CUT_OFF
    if found:
        return found
    if isinstance(entry, Items) or label_of(entry) is None:
        return None
    return Defect.MISSING_BOX if entry.closed else Defect.CUT_OFF
