"""Best-of-n curves of a run: one judge picks, the others and people watch. Nothing is made or judged again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.statistics.best_of import Curve, curve, distance
from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.types import Json
from reports.documents import Cell, Document, Grid, Record
from reports.origins import footer, origin, run_labels
from reports.run_data import RunData

READING = (
    "The expected score of the picture that the picker likes best of n, over all choices of n of a prompt's pictures, "
    "with 95 % intervals over prompts. Where the picker's own curve rises and another's falls, what it likes is not "
    "what the other measures, and training against it can be expected to go the same way. The distance, in nats, is "
    "the most by which picking moves the distribution."
)
PEOPLE = "people"
Values = Mapping[str, float]
"""Sample id -> value."""


@dataclass(frozen=True, slots=True)
class BestOf:
    """The curves of a run.

    Attributes:
        picker: the judge that picks, by full name.
        curves: watcher -> its curve; the picker's own first.
        prompts: watcher -> how many prompts its curve stands on.
        left_out: watcher -> prompts with fewer pictures that both scored.
    """

    picker: str
    most: int
    curves: Mapping[str, Curve]
    prompts: Mapping[str, int]
    left_out: Mapping[str, int]

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        return {
            "picker": self.picker,
            "most": self.most,
            "curves": {
                name: {
                    "values": [one.json() for one in found.values],
                    "gains": [one.json() for one in found.gains],
                    "peak": found.peak,
                    "fall": found.fall.json(),
                    "turns": found.turns,
                    "prompts": self.prompts[name],
                    "prompts_left_out": self.left_out[name],
                }
                for name, found in self.curves.items()
            },
        }


def best_of(
    run: RunData,
    by: str,
    against: Sequence[str] = (),
    most: int | None = None,
    people: Mapping[str, Values] | None = None,
) -> BestOf:
    """The curves.

    Args:
        by: the judge that picks, by full name or factor.
        against: those that watch; all others by default.
        most: the greatest n; by default the fewest pictures that a prompt has, of those with two or more.
        people: name of a dimension -> sample -> mark, which watch as well.

    Raises:
        UsageError: an unknown judge, or no prompt has that many pictures with both scores.
    """
    names = {name: column.name for column in run.judges for name in (column.factor, column.name)}
    picker, *watchers = (_judge(name, names) for name in (by, *against))
    if not against:
        watchers = [column.name for column in run.judges if column.name != picker]
    values: dict[str, Values] = {name: _scores(run, name) for name in (picker, *watchers)}
    values |= {f"{PEOPLE}: {name}": marks for name, marks in (people or {}).items()}
    picked = _by_prompt(values[picker], values[picker])
    counts = [len(scores) for scores, _ in picked if len(scores) > 1]
    if not counts:
        raise UsageError(
            f"{run.folder}: no prompt has two pictures that {picker} scored; --images-per-prompt makes more"
        )
    greatest = most or min(counts)
    curves, prompts, left_out = {}, {}, {}
    for name, watched in values.items():
        found = _by_prompt(values[picker], watched)
        kept = [pair for pair in found if len(pair[0]) >= greatest]
        if kept:
            curves[name], prompts[name] = curve(kept, greatest), len(kept)
            left_out[name] = len(found) - len(kept)
    if picker not in curves:
        raise UsageError(
            f"{run.folder}: no prompt has {greatest} pictures that {picker} scored (at most {max(counts)})"
        )
    return BestOf(picker, greatest, curves, prompts, left_out)


def _judge(name: str, names: Mapping[str, str]) -> str:
    if name not in names:
        raise UsageError(f"no judge {name!r} in this run{nearest_name(name, names)}")
    return names[name]


def _scores(run: RunData, judge: str) -> dict[str, float]:
    return {sample: one.value for sample, one in run.outcomes[judge].items() if isinstance(one, Score)}


def _by_prompt(picker: Values, watched: Values) -> list[tuple[np.ndarray, np.ndarray]]:
    """(picker's scores, the other's) of each prompt's pictures that both scored."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for sample in sorted(picker.keys() & watched.keys()):
        groups.setdefault(sample.rpartition("/")[0], []).append((picker[sample], watched[sample]))
    return [(np.array(pairs)[:, 0], np.array(pairs)[:, 1]) for pairs in groups.values()]


def best_of_document(run: RunData, found: BestOf, command: str = "") -> Document:
    """The curves as a table, a row an n and a column a judge, and what they come to in words."""
    shown = sorted({1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, found.most} & set(range(1, found.most + 1)))
    rows = [
        (Cell(str(n)), Cell(f"{distance(n):.2f}"), *(_cell(one.values[n - 1]) for one in found.curves.values()))
        for n in shown
    ]
    label = run_labels([run])[0]
    grid = Grid(
        f"{label}: best of n by {found.picker}", ("n", "distance", *found.curves), tuple(rows), tuple(sentences(found))
    )
    made = origin(run, label)
    records: list[Record] = [
        {"run": label, "picker": found.picker, "judge": name, "n": n, **found.curves[name].values[n - 1].json()}
        | {"prompts": found.prompts[name], **made.columns()}
        for name in found.curves
        for n in range(1, found.most + 1)
    ]
    return Document(
        title=f"{label}: best of n",
        grids=(grid,),
        notes=(READING,),
        footer=footer([made], command),
        records=tuple(records),
        json=found.json(),
    )


def sentences(found: BestOf) -> list[str]:
    """What each curve does, a line each."""
    lines = []
    for name, one in found.curves.items():
        last = one.gains[-1]
        change = f"{last.value or 0.0:+.3f}{_interval(last)} from one picture to the best of {found.most}"
        turn = f"; turns down: best at n = {one.peak}, {one.fall.value or 0.0:+.3f}{_interval(one.fall)} from there"
        few = f"; {found.left_out[name]} prompts with fewer pictures left out" if found.left_out[name] else ""
        lines.append(f"{name}: {change} ({found.prompts[name]} prompts{few}){turn if one.turns else ''}")
    return lines


def _interval(one: Estimate) -> str:
    return "" if one.low is None or one.high is None else f" [{one.low:+.3f}, {one.high:+.3f}]"


def _cell(one: Estimate) -> Cell:
    interval = "" if one.low is None or one.high is None else f"[{one.low:.3f}, {one.high:.3f}]"
    return Cell(f"{one.value or 0.0:.3f}", interval)
