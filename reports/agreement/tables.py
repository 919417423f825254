"""An agreement as tables of text; terminal, page and files set them in their own way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gotr1_eval.core.statistics.correlations import Bounds
from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.statistics.krippendorff import LEVELS
from reports.agreement.analysis import ALL, Agreement
from reports.agreement.grids import Cell, Grid, dimension_cell, estimate_cell
from reports.agreement.judge_agreement import PAIRWISE, AverageRow, JudgeRow
from reports.agreement.pairs import PreferenceRow
from reports.agreement.rater_agreement import PeopleRow
from reports.agreement.system_tables import system_grids

SHOWN = {"pearson": "Pearson", "spearman": "Spearman", "kendall_b": "Kendall tau-b", PAIRWISE: "pairwise accuracy"}
VERDICTS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "Cohen's kappa",
    "roc_auc": "ROC area",
    "average_precision": "average precision",
}
CEILING = {name: SHOWN[name] for name in ("pearson", "spearman", "kendall_b")}


def grids(agreement: Agreement) -> list[Grid]:
    """The tables that have any row."""
    found = (
        _preferences(agreement.preferences),
        _people(agreement.people),
        _judges(
            "Judges against people",
            f"Against the {agreement.options.people} of people's marks. Unscored items are left out and counted; had "
            "they been scored, within the judge's range, the number would lie within its bounds. Ties: up to this "
            "difference, scores are equal.",
            agreement.judges,
        ),
        _ceiling(agreement.judges),
        _averages(agreement),
        _judges(
            "Judges against judges",
            "On the items that both scored, all categories together.",
            [row for row in agreement.between if row.category == ALL],
        ),
        _verdicts(agreement),
        *system_grids(agreement.systems),
        retest_grid(agreement.retest),
    )
    return [grid for grid in found if grid.rows]


def _people(rows: Sequence[PeopleRow]) -> Grid:
    levels = [level for level in LEVELS if any(level in row.alpha for row in rows)]
    return Grid(
        "People among themselves",
        "Krippendorff's alpha: 1 is full agreement, 0 is chance. Pairs: share of pairs of raters who agree exactly.",
        2,
        ("dimension", "category", *(f"alpha {level}" for level in levels), "pairs", "mean", "units"),
        [
            [
                dimension_cell(row.dimension),
                Cell(row.category),
                *(estimate_cell(row.alpha[level]) if level in row.alpha else Cell("-") for level in levels),
                estimate_cell(row.pairwise),
                estimate_cell(row.mean),
                _units(row),
            ]
            for row in rows
        ],
    )


def _units(row: PeopleRow) -> Cell:
    alone = row.units - row.paired
    facts = (f"{row.ratings} marks", f"{row.raters} raters", f"{alone} marked once" if alone else "")
    return Cell(str(row.units), tuple(filter(None, facts)))


def _judges(title: str, lead: str, rows: Sequence[JudgeRow]) -> Grid:
    return Grid(
        title,
        lead,
        3,
        ("dimension", "judge", "category", *SHOWN.values(), "n"),
        [
            [dimension_cell(row.dimension), _name(row), Cell(row.category), *_coefficients(row), _counts(row)]
            for row in rows
        ],
    )


def _verdicts(agreement: Agreement) -> Grid:
    rows = [row for row in (*agreement.judges, *agreement.between) if row.verdicts]
    return Grid(
        "Verdicts",
        f"Against labels of 0 and 1; a score from {agreement.options.threshold:g} on is a verdict of 1. Kappa: "
        "accuracy beyond chance. ROC area and average precision are of the scores themselves.",
        3,
        ("dimension", "judge", "category", *VERDICTS.values(), "n"),
        [
            [
                dimension_cell(row.dimension),
                _name(row),
                Cell(row.category),
                *(estimate_cell(row.verdicts[name]) for name in VERDICTS),
                Cell(str(row.n), _facts(row)),
            ]
            for row in rows
        ],
    )


def _preferences(rows: Sequence[PreferenceRow]) -> Grid:
    return Grid(
        "Pairs: which system is preferred",
        "Share of pairs in which the first system's picture is preferred, a tie counting half; a judge prefers the "
        "greater of its two scores, on the same pairs.",
        3,
        ("systems", "dimension", "who", "first preferred", "ties", "pairs"),
        [
            [
                Cell(f"{row.first} over {row.second}"),
                dimension_cell(row.dimension),
                Cell(row.who),
                estimate_cell(row.share),
                Cell(str(row.ties)),
                Cell(str(row.n), (f"{row.prompts} prompts",)),
            ]
            for row in rows
        ],
    )


def _name(row: JudgeRow) -> Cell:
    return Cell(row.judge) if row.ceiling is not None else Cell(row.judge, (f"against {row.against}",))


def _coefficients(row: JudgeRow) -> Iterator[Cell]:
    for name in SHOWN:
        epsilon = f"ties {row.epsilon:.3g}" if name == PAIRWISE and row.epsilon is not None else ""
        yield estimate_cell(row.coefficients[name], epsilon, _bound(row.bounds.get(name)))


def _bound(found: Bounds | None) -> str:
    return "" if found is None else f"bounds [{found.low:.3f}, {found.high:.3f}]"


def _counts(row: JudgeRow) -> Cell:
    some = (f"accuracy of pairs: {row.paired} of them",) if row.paired < row.n else ()
    return Cell(str(row.n), (*_facts(row), *some))


def _facts(row: JudgeRow) -> tuple[str, ...]:
    facts = [f"{row.clusters} prompts"]
    facts += [f"unscored {row.unscored} ({row.unscored_share:.1%})"] if row.unscored else []
    facts += [f"{count} {why}" for why, count in row.reasons.items()]
    facts += [f"not applicable {row.not_applicable}"] if row.not_applicable else []
    facts += [f"not asked {row.not_asked}"] if row.not_asked else []
    return tuple(facts)


def _ceiling(rows: Iterable[JudgeRow]) -> Grid:
    lines: dict[tuple[str, str, str], list[Cell]] = {}
    for row in rows:
        if row.ceiling is None or not row.ceiling.raters:
            continue
        place = [dimension_cell(row.dimension), Cell(row.category)]
        raters = Cell("people", (f"{row.ceiling.raters} raters",))
        lines.setdefault((row.dimension, row.category, ""), [*place, raters, *_of(row.ceiling.coefficients)])
        lines[row.dimension, row.category, row.judge] = [*place, Cell(row.judge), *_of(row.beside_ceiling)]
    return Grid(
        "The human ceiling",
        "Each rater against all others, averaged; and each judge against those same others, on the same items.",
        3,
        ("dimension", "category", "who", *CEILING.values()),
        list(lines.values()),
    )


def _of(coefficients: Mapping[str, Estimate]) -> Iterator[Cell]:
    return (estimate_cell(coefficients[name]) for name in CEILING)


def _averages(agreement: Agreement) -> Grid:
    how = {"fisher": "Fisher's transform", "tanh_of_mean": "tanh of the plain mean, as VIEScore's tables have it"}
    return Grid(
        "Averages over categories",
        f"Correlations by {how[agreement.options.average]}; pairwise accuracy by its mean.",
        2,
        ("dimension", "judge", *SHOWN.values()),
        [
            [dimension_cell(row.dimension), Cell(row.judge), *(_average_cell(row, name) for name in SHOWN)]
            for row in agreement.averages
        ],
    )


def _average_cell(row: AverageRow, name: str) -> Cell:
    return estimate_cell(row.coefficients[name], f"{row.categories[name]} of {row.of} categories")


def retest_grid(rows: Sequence[PeopleRow]) -> Grid:
    """Test and retest; `rows` as `Agreement.retest` has them."""
    return Grid(
        "Judges against themselves",
        "Repeated judgments of the same items. Identical: share of pairs of repeats with the same score.",
        2,
        ("dimension", "judge", "identical", "alpha interval", "repeats", "items"),
        [
            [
                dimension_cell(row.dimension),
                Cell(row.category),
                estimate_cell(row.pairwise),
                estimate_cell(row.alpha["interval"]) if "interval" in row.alpha else Cell("-"),
                Cell(str(row.raters)),
                Cell(str(row.units)),
            ]
            for row in rows
        ],
    )
