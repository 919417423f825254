"""GenEval's verdict on one picture: right or wrong, and in the official words why (evaluation/evaluate_images.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.geneval.metadata import COLOURS, Clause, Task
from benchmarks.geneval.objects import DEFAULTS, Found, Options, relations

Objects = Mapping[str, Sequence[Found]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the picture shows what was asked for; each fault is a line of `reason`.

    Where two objects stand in two relations, the official script joins them in the order of a Python set, which
    changes from run to run; here they are sorted.
    """

    correct: bool
    reason: str


def coloured_clauses(task: Task, objects: Objects) -> list[int]:
    """Indices of the clauses whose objects' colours decide: those with a colour and with enough objects."""
    return [
        index
        for index, clause in enumerate(task.include)
        if clause.colour is not None and len(objects.get(clause.name, ())) >= clause.count
    ]


def judge_picture(
    task: Task, objects: Objects, colours: Mapping[int, Sequence[str]], options: Options = DEFAULTS
) -> Verdict:
    """The verdict.

    Args:
        objects: of the picture, by class, the most certain first.
        colours: for each clause of `coloured_clauses` the colours of its first `count` objects.
    """
    faults: list[str] = []
    groups: list[Sequence[Found] | None] = []
    for index, clause in enumerate(task.include):
        found = list(objects.get(clause.name, ()))[: clause.count]
        fault = _fault(clause, found, colours.get(index, ()), groups, options)
        groups.append(None if fault else found)
        if fault:
            faults.append(fault)
    for clause in task.exclude:
        number = len(objects.get(clause.name, ()))
        if number >= clause.count:
            faults.append(f"expected {clause.name}<{clause.count}, found {number}")
    return Verdict(not faults, "\n".join(faults))


def _fault(
    clause: Clause,
    found: Sequence[Found],
    colours: Sequence[str],
    groups: Sequence[Sequence[Found] | None],
    options: Options,
) -> str:
    """What is wrong with the objects of a clause: their number, else their colour, else their place; empty if
    nothing."""
    if len(found) < clause.count:
        return f"expected {clause.name}>={clause.count}, found {len(found)}"
    if clause.colour is not None and colours.count(clause.colour) < clause.count:
        others = ", ".join(f"{colours.count(colour)} {colour}" for colour in COLOURS if colour in colours)
        number = colours.count(clause.colour)
        wanted = f"{clause.colour} {clause.name}>={clause.count}"
        return f"expected {wanted}, found {number} {clause.colour}; and {others}"
    if clause.position is None:
        return ""
    relation, target = clause.position
    # A clause can only hold to an earlier one: the official script has not looked at later ones yet.
    targets = groups[target] if target < len(groups) else None
    if targets is None:
        return f"no target for {clause.name} to be {relation}"
    for one in found:
        for other in targets:
            holding = relations(one.box, other.box, options.position)
            if relation not in holding:
                return f"expected {clause.name} {relation} target, found {' and '.join(holding)} target"
    return ""
