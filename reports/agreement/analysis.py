"""All that a study of agreement says, also as JSON: people among themselves, judges against them and each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from gotr1_eval.core.statistics.correlations import Average
from gotr1_eval.core.types import Json
from reports.agreement.foreign_tables.mapping import ANY
from reports.agreement.judge_agreement import MOST_UNITS, AverageRow, JudgeMarks, JudgeRow, average_row, judge_row
from reports.agreement.marks import Draws, ItemFacts, Mark, Marks, Unit, base_name
from reports.agreement.pairs import PreferenceRow, preference_rows
from reports.agreement.rater_agreement import Ceiling, PeopleRow, consensus, mean_over_categories, people_row
from reports.agreement.systems import Families, SystemsRow, check_families, systems_row

ALL = "all"
"""The category of all items."""
OTHER = "(no category)"
MOST_BETWEEN = 1000
"""Units whose pairs are compared between two judges unless told otherwise; there are many pairs of judges, too."""
Units = Mapping[Unit, Mapping[str, Mark]]
OVER_CATEGORIES = ("mean", "majority_vote", "pairwise", "majority_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an agreement is computed.

    Attributes:
        people: what is made of several people's marks of one item.
        average: how correlations are averaged over categories.
        draws: of the bootstrap; 0 gives no intervals.
        units: how many units' pairs are compared at most; None takes `MOST_UNITS` and between judges `MOST_BETWEEN`.
        threshold: a score from it on is a verdict of 1.
        families: judge -> the systems of its own family, which it might favour.
    """

    people: Literal["mean", "majority"] = "mean"
    average: Average = "fisher"
    draws: int = 1000
    seed: int = 0
    units: int | Literal["all"] | None = None
    threshold: float = 0.5
    families: Families = field(default_factory=dict)

    def most(self, usual: int) -> int | None:
        """How many units' pairs are compared where `usual` is the number unless told otherwise; None for all."""
        return None if self.units == "all" else self.units or usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The result.

    Attributes:
        people: a row a dimension and category; category `ALL` last.
        judges: each judge against people, likewise.
        averages: over categories, where there are several.
        between: each pair of judges, likewise.
        preferences: of studies of pairs, how often one system is preferred to another, by people and by each judge.
        systems: each of these pairs of sides again, system by system, where items are known to be of several.
        retest: repeated judgments of one judge, as if each repeat were a rater; the category is the judge.
        notes: what was counted on the way, in words.
        left_out: a line for every mark that was left out.
    """

    options: Options
    people: Sequence[PeopleRow]
    judges: Sequence[JudgeRow]
    averages: Sequence[AverageRow]
    between: Sequence[JudgeRow]
    preferences: Sequence[PreferenceRow]
    systems: Sequence[SystemsRow]
    retest: Sequence[PeopleRow]
    notes: Sequence[str]
    left_out: Sequence[str]


def analyse(people: Marks, judges: Marks, options: Options) -> Agreement:
    """All numbers. Facts about items that both sides give are taken from people's."""
    items = dict(people.items)
    for item, facts in judges.items.items():
        items[item] = items[item].over(facts) if item in items else facts
    rated = {item: items[item] for item in people.items} or items
    draws = Draws(rated, options.draws, options.seed)
    judged = list(_against_people(people, judges, rated, draws, options))
    # Two judges may have scored far more items than people rated.
    widely = Draws(items, options.draws, options.seed)
    between = list(_between(judges, items, widely, options))
    check_families(options.families, [who for _, who in judges.who()], items)
    return Agreement(
        options=options,
        people=[
            people_row(dimension, category, units, draws)
            for dimension, marked in people.values.items()
            for category, units in _categories(marked, rated)
        ],
        judges=judged,
        averages=list(_averages(judged, options)),
        between=between,
        preferences=list(preference_rows(people, judges, options.people, draws)),
        systems=[
            *_systems(judged, items, draws, options.families),
            *_systems(between, items, widely, options.families),
        ],
        retest=list(_retest(judges, widely)),
        notes=_notes(people, judges),
        left_out=[*people.left_out, *judges.left_out],
    )


def _categories(units: Units, items: Mapping[str, ItemFacts]) -> Iterator[tuple[str, Units]]:
    """(category, its units), all units together last."""
    names = {unit: items[unit.item].category for unit in units}
    found = dict.fromkeys(names.values())
    if len(found) > 1:
        for name in found:
            yield name or OTHER, {unit: said for unit, said in units.items() if names[unit] == name}
    yield ALL, units


def _against_people(
    people: Marks, judges: Marks, items: Mapping[str, ItemFacts], draws: Draws, options: Options
) -> Iterator[JudgeRow]:
    for dimension, marked in people.values.items():
        if not judges.who() or not any(consensus(said, options.people) is not None for said in marked.values()):
            continue
        parts = [(*part, Ceiling(part[1], options.people, draws)) for part in _categories(marked, items)]
        for judge in judges_of(judges, dimension, people.served_by):
            for category, units, ceiling in parts:
                yield judge_row(
                    judge,
                    units,
                    dimension=dimension,
                    category=category,
                    by=options.people,
                    draws=draws,
                    most=options.most(MOST_UNITS),
                    threshold=options.threshold,
                    ceiling=ceiling,
                )


def judges_of(judges: Marks, dimension: str, served_by: Mapping[str, str]) -> list[JudgeMarks]:
    """The judges that are held against a dimension of people.

    They are those that scored the dimension by name, those that it is served by, and those whose scores serve none.
    """
    scored = judges.who()
    own = [(other, who) for other, who in scored if other == dimension]
    named = {who for _, who in own}
    for other, who in scored:
        judge = base_name(who)
        serves = served_by.get(dimension) == judge or judge not in served_by.values()
        if other == ANY and who not in named and serves:
            own.append((other, who))
    return [_marks(judges, other, who) for other, who in own]


def _marks(judges: Marks, dimension: str, who: str) -> JudgeMarks:
    scores = judges.scores(dimension, who)
    return JudgeMarks(
        name=who,
        scores={unit: mark for unit, mark in scores.items() if isinstance(mark, float)},
        unscored=judges.unscored.get((dimension, who), {}),
        not_applicable=frozenset(judges.not_applicable.get((dimension, who), ())),
    )


def _averages(rows: Sequence[JudgeRow], options: Options) -> Iterator[AverageRow]:
    groups: dict[tuple[str, str], list[JudgeRow]] = {}
    for row in rows:
        if row.category != ALL:
            groups.setdefault((row.dimension, row.judge), []).append(row)
    yield from (average_row(group, options.average) for group in groups.values())


def _between(judges: Marks, items: Mapping[str, ItemFacts], draws: Draws, options: Options) -> Iterator[JudgeRow]:
    """Every two judges of one dimension; a judge without scores has nobody to be held against."""
    for dimension in dict.fromkeys(dimension for dimension, _ in judges.who()):
        known = [_marks(judges, dimension, who) for other, who in judges.who() if other == dimension]
        for place, second in enumerate(known):
            units = {unit: {second.name: mark} for unit, mark in second.scores.items()}
            for first in known[:place] if units else ():
                for category, some in _categories(units, items):
                    yield judge_row(
                        first,
                        some,
                        dimension=dimension,
                        category=category,
                        by=options.people,
                        draws=draws,
                        against=second.name,
                        most=options.most(MOST_BETWEEN),
                        threshold=options.threshold,
                    )


def _systems(
    rows: Iterable[JudgeRow], items: Mapping[str, ItemFacts], draws: Draws, families: Families
) -> Iterator[SystemsRow]:
    """Of the rows over all categories those whose items are of several systems."""
    for row in rows:
        if row.category == ALL:
            found = systems_row(row.judge, row.against, row.dimension, row.points, items, draws, families)
            if found is not None:
                yield found


def _retest(judges: Marks, draws: Draws) -> Iterator[PeopleRow]:
    for (dimension, who), units in judges.repeats.items():
        repeated = {
            unit: {f"repeat {number}": mark for number, mark in again.items()}
            for unit, again in units.items()
            if len(again) > 1
        }
        if repeated:
            yield people_row(dimension, who, repeated, draws)


def _notes(people: Marks, judges: Marks) -> list[str]:
    """Counts of what was read and joined; the exceptions only where there are any."""
    notes = [*_counted("ratings", people.counts), *_counted("scores", judges.counts)]
    if people.items and judges.items:
        both = len(people.items.keys() & judges.items.keys())
        one = f"{len(people.items) - both} rated only, {len(judges.items) - both} judged only"
        notes.append(f"items: {both} rated and judged, {one}")
        known = {*people.values, ANY}
        others = [f"{who} on {dimension}" for dimension, who in judges.who() if dimension not in known]
        notes += [f"scores on dimensions that nobody rated: {', '.join(others)}"] if others else []
    return notes


def _counted(what: str, counts: Counter[str]) -> Iterable[str]:
    return (f"{what}: {count} {name}" for name, count in counts.items() if count)


def agreement_json(agreement: Agreement) -> dict[str, Json]:
    """Everything but the points and the draws; undefined numbers are null with the reason beside them."""
    return {
        "options": asdict(agreement.options),
        "people": [row.json() for row in agreement.people],
        "people_mean_over_categories": _over_categories(agreement),
        "judges": [row.json() for row in agreement.judges],
        "averages_over_categories": [row.json() for row in agreement.averages],
        "judge_against_judge": [row.json() for row in agreement.between],
        "preferences": [row.json() for row in agreement.preferences],
        "systems": [row.json() for row in agreement.systems],
        "test_retest": [row.json() for row in agreement.retest],
        "notes": list(agreement.notes),
        "left_out": list(agreement.left_out),
    }


def _over_categories(agreement: Agreement) -> dict[str, Json]:
    rows: dict[str, list[PeopleRow]] = {}
    for row in agreement.people:
        rows.setdefault(row.dimension, []).append(row)
    return {
        dimension: {name: mean_over_categories(found[:-1], name) for name in OVER_CATEGORIES}
        for dimension, found in rows.items()
        if len(found) > 1
    }
