"""Where marks come from: runs, studies, and tables of any shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Score, Why
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import read_info, read_judgments
from reports.agreement.foreign_tables.mapping import ANY, MappingFile, TableMapping, Value
from reports.agreement.foreign_tables.reading import QUESTION, read_table
from reports.agreement.foreign_tables.rows import read_file
from reports.agreement.marks import ItemFacts, Marks, Unit, base_name
from reports.agreement.pairs import paired_scores
from reports.agreement.rater_agreement import consensus
from reports.agreement.study_folder import Dimension, Study, read_study
from reports.run_data import RunData, load_run

Kind = Literal["run", "study", "table"]


@dataclass(frozen=True, slots=True)
class Sources:
    """What people said, and what judges said; either may be empty."""

    people: Marks
    judges: Marks


def read_sources(paths: Sequence[Path], mapping: MappingFile, folder: Path) -> Sources:
    """Read what a command line names: the judged first, then the ratings.

    A run is always a side of judges. A study is a side of people; alone it is both, with the scores that it was drawn
    with. A table alone is one of scores where it has a column ``judge`` or its mapping knows scores only, one of both
    where its mapping knows both, and one of ratings otherwise. Without paths the mapping names all files.

    Raises:
        DataError: a file is not what it should be, or no item is both rated and judged.
        UsageError: the paths and the mapping do not fit together.
    """
    runs = [path for path in paths if _kind(path) == "run"]
    others = [path for path in paths if path not in runs]
    judged, rated = _sides(others, mapping, alone=not runs)
    people = _people(rated, mapping, folder)
    judges = Marks()
    for path, system in systems_of(runs):
        _add_run(judges, read_run(path, people, system), path)
    if people.pairs:
        paired = paired_scores(judges, people.pairs)
        if people.items.keys() <= people.pairs.keys():
            judges = paired
        else:
            judges.merge(paired)
    for spec, files in _score_tables(judged, mapping):
        judges.merge(_scores(files, spec, folder, people))
    if not judges.who() and len(rated) == 1 and _kind(rated[0]) == "study":
        judges = _scores_of(read_study(rated[0]))
    _check(people, judges, paths)
    return Sources(people, judges)


def read_run(folder: Path, people: Marks | None = None, system: str | None = None) -> Marks:
    """The scores of a run's judges, totals included, with every repeat.

    Args:
        people: what people rated. Where a study was drawn from several runs its items begin with the run's name; where
            a dimension is a part of the judge that serves it ("clarity" of semantic), the judge has the part's score.
        system: the run's generator, where it is one of several: pictures of one prompt then are items of their own.
    """
    people = people or Marks()
    run = load_run(folder)
    names = item_names(run, people, system)
    marks = Marks()
    for sample in run.samples.values():
        prompt = sample.id.rpartition("/")[0] or sample.prompt
        marks.learn(names[sample.id], ItemFacts(prompt, run.category(sample), system=system))
    current = {(column.name, column.fingerprint) for column in run.judges}
    judgments = [one for one in read_judgments(folder).values() if (one.judge, one.fingerprint) in current]
    parts = _parts(judgments, people.served_by)
    for one in judgments:
        if one.sample in names:
            for dimension in (ANY, *parts.get(one.judge, ())):
                _keep_outcome(marks, dimension, names[one.sample], one)
            _keep_questions(marks, names[one.sample], one)
    return marks


def systems_of(runs: Sequence[Path]) -> list[tuple[Path, str | None]]:
    """(run, its generator); None for all where there is one generator only, so that its items need no prefix."""
    makers = [str(read_info(path).setup.get("generator", "")) for path in runs]
    several = len(set(makers)) > 1
    return [(path, maker if several else None) for path, maker in zip(runs, makers, strict=True)]


def item_names(run: RunData, people: Marks, system: str | None = None) -> dict[str, str]:
    """Sample id -> what the item is called among people's and other runs'; see `read_run`."""
    prefix, rated = f"{run.folder.name}/", people.names()
    plain = not any(prefix + sample in rated for sample in run.samples)
    if plain and system is not None:
        prefix, plain = f"{system}/", False
    return {sample: sample if plain else prefix + sample for sample in run.samples}


def _keep_questions(marks: Marks, item: str, one: Judgment) -> None:
    """The verdicts on the questions of a checklist, as they were read, under ``<sample>#<question>``.

    Of a picture that was cut in several each cell has its own.
    """
    for verdict in one.outcome.questions:
        cell = f"{verdict.picture}/" if verdict.picture else ""
        asked = f"{item}#{cell}{verdict.question}"
        marks.learn(asked, replace(marks.items[item], category=verdict.tag or marks.items[item].category))
        if verdict.verdict is not None:
            marks.add(QUESTION, Unit(asked), one.judge, verdict.verdict, one.repeat)
        elif one.repeat == 0:
            marks.miss(QUESTION, one.judge, asked, Why.UNREADABLE.value)


def _parts(judgments: Iterable[Judgment], served_by: Mapping[str, str]) -> dict[str, set[str]]:
    """Judge -> those of its parts that are dimensions of people which it serves."""
    found: dict[str, set[str]] = {}
    for one in judgments:
        if isinstance(one.outcome, Score):
            serving = {part for part in one.outcome.parts if served_by.get(part) in (base_name(one.judge), part)}
            found.setdefault(one.judge, set()).update(serving)
    return found


def _keep_outcome(marks: Marks, dimension: str, item: str, one: Judgment) -> None:
    outcome = one.outcome
    if isinstance(outcome, Score):
        value = outcome.value if dimension == ANY else outcome.parts.get(dimension)
        if value is not None:
            marks.add(dimension, Unit(item), one.judge, float(value), one.repeat)
    elif one.repeat == 0:
        _keep_reason(marks, dimension, one.judge, item, outcome.why.value)


def _keep_reason(marks: Marks, dimension: str, judge: str, item: str, why: str) -> None:
    if why == Why.NOT_APPLICABLE.value:
        marks.not_applicable.setdefault((dimension, judge), set()).add(item)
    else:
        marks.miss(dimension, judge, item, why)


def read_mark_means(run: Path, people: Path) -> dict[str, dict[str, float]]:
    """Dimension -> sample of the run -> the mean of people's marks, from a study or a table of ratings.

    Raises:
        DataError: it cannot be read, or is about no sample of the run.
    """
    marks = read_sources([run, people], MappingFile(), Path()).people
    prefix = f"{run.resolve().name}/"
    found: dict[str, dict[str, float]] = {}
    for dimension, units in marks.values.items():
        for unit, said in units.items():
            mean = consensus(said, "mean")
            if mean is not None and not unit.part:
                found.setdefault(dimension, {})[unit.item.removeprefix(prefix)] = mean
    return found


def read_study_ratings(folder: Path) -> Marks:
    """The ratings that a study's folder holds; marks off a dimension's scale are left out and named.

    Raises:
        DataError: there are none, or one is about an item or dimension that the study does not know.
    """
    study = read_study(folder)
    path = folder / "ratings.csv"
    if not path.exists():
        raise DataError(f"no ratings yet; write them with `gotr1-eval rate {folder} --export {path}`", path=path)
    _check_ratings(study, path)
    marks = Marks()
    for dimension in study.dimensions:
        marks.merge(read_table([path], _dimension_mapping(dimension), "rater", folder))
        marks.served_by[dimension.name] = dimension.judge
    marks.counts.pop("rows passed over by `where`", None)
    for item in study.drawn:
        if item.item in marks.items:
            chance = 1.0 / item.inclusion_probability
            marks.items[item.item] = ItemFacts(item.cluster or item.item, item.category, chance, item.stratum)
            if item.pair is not None:
                marks.pairs[item.item] = item.pair
    return marks


def _sides(paths: Sequence[Path], mapping: MappingFile, *, alone: bool) -> tuple[list[Path], list[Path]]:
    """(tables of scores, tables or a study of ratings)."""
    if len(paths) != 1 or not alone:
        first_is_judged = len(paths) > 1 and alone and not _are_raters(paths, mapping)
        return list(paths[:first_is_judged]), list(paths[first_is_judged:])
    if _kind(paths[0]) == "study" or (mapping.ratings and not mapping.scores):
        return [], list(paths)
    if mapping.scores:
        return list(paths), list(paths) if mapping.ratings else []
    first = next(read_file(paths[0]), None)
    return (list(paths), []) if first is not None and "judge" in first.cells else ([], list(paths))


def _are_raters(paths: Sequence[Path], mapping: MappingFile) -> bool:
    """Whether all of several tables are people's: each names its raters, and none a judge."""
    if mapping.scores or any(_kind(path) != "table" for path in paths):
        return False
    columns = [first.cells if (first := next(read_file(path), None)) else {} for path in paths]
    return all("rater" in there and "judge" not in there for there in columns)


def _kind(path: Path) -> Kind:
    if (path / "run.json").exists():
        return "run"
    if path.is_dir():
        read_study(path)  # says what is missing where it is no study either
        return "study"
    return "table"


def _people(paths: Sequence[Path], mapping: MappingFile, folder: Path) -> Marks:
    if any(_kind(path) == "study" for path in paths):
        if len(paths) > 1:
            raise UsageError("a study is rated in its own folder; name no further ratings")
        return read_study_ratings(paths[0])
    if not paths and (mapping.ratings is None or not mapping.ratings.files):
        return Marks()
    marks = read_table(paths, mapping.ratings or TableMapping(), "rater", folder)
    if not marks.values:
        where = paths[0] if paths else folder
        raise DataError("no rating in it: every cell is empty, left out, or passed over", path=where)
    marks.served_by = {dimension: dimension for dimension in marks.values}
    return marks


def _score_tables(paths: Sequence[Path], mapping: MappingFile) -> list[tuple[TableMapping, list[Path]]]:
    if not paths:
        return [(spec, []) for spec in mapping.scores if spec.files]
    if len(mapping.scores) > 1:
        raise UsageError("the mapping describes several tables of scores; name their `files` in it, and none here")
    return [(mapping.scores[0] if mapping.scores else TableMapping(), list(paths))]


def _scores(files: Sequence[Path], spec: TableMapping, folder: Path, people: Marks) -> Marks:
    marks = read_table(files, spec, "judge", folder)
    if not marks.who():
        raise DataError("no score in it", path=files[0] if files else folder)
    if spec.absent is not None:
        marks.fill_absent(people.items, spec.absent)
    return marks


def _scores_of(study: Study) -> Marks:
    marks = Marks()
    for item in study.drawn:
        marks.learn(item.item, ItemFacts(item.cluster or item.item, item.category))
        for judge, score in item.scores.items():
            marks.add(ANY, Unit(item.item), judge, float(score))
        for judge, why in item.unscored.items():
            _keep_reason(marks, ANY, judge, item.item, why)
    return marks


def _check_ratings(study: Study, path: Path) -> None:
    known = {item.item for item in study.drawn}, {dimension.name for dimension in study.dimensions}
    for row in read_file(path):
        for column, names in zip(("item", "dimension"), known, strict=True):
            if row.cell(column) not in names:
                raise row.fault(f"the study has no {column} {row.cell(column)!r}")


def _dimension_mapping(dimension: Dimension) -> TableMapping:
    return TableMapping(
        where={"dimension": dimension.name},
        by="rater",
        values={dimension.name: Value(column=("value",), low=dimension.low, high=dimension.high)},
    )


def _add_run(judges: Marks, run: Marks, folder: Path) -> None:
    for _, judge in run.who():
        if (ANY, judge) in judges.who() and judges.items.keys() & run.items.keys():
            raise UsageError(
                f"agreement: {folder} and a run before it hold scores of {judge!r} for the same samples; "
                "`gotr1-eval compare` holds two runs against each other"
            )
    judges.merge(run)


def _check(people: Marks, judges: Marks, paths: Sequence[Path]) -> None:
    if not people.items and not judges.items:
        raise UsageError("agreement: name a run, a study, or tables of scores and ratings (see docs/agreement.md)")
    if people.items and judges.items and not people.items.keys() & judges.items.keys():
        rated, judged = next(iter(people.items)), next(iter(judges.items))
        raise DataError(
            f"no item is both rated and judged (rated: {rated!r}, judged: {judged!r}); say in a --mapping which "
            "columns make an item's name",
            path=paths[0] if paths else "mapping",
        )
