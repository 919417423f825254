"""An agreement as tables of text, in Markdown and LaTeX; terminal and page set them in their own way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gotr1_eval.core.statistics.correlations import Bounds
from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.statistics.krippendorff import LEVELS
from reports.agreement.analysis import ALL, Agreement
from reports.agreement.judge_agreement import PAIRWISE, AverageRow, JudgeRow
from reports.agreement.rater_agreement import PeopleRow
from reports.agreement.table_mapping import ANY

SHOWN = {"pearson": "Pearson", "spearman": "Spearman", "kendall_b": "Kendall tau-b", PAIRWISE: "pairwise accuracy"}
CEILING = {name: SHOWN[name] for name in ("pearson", "spearman", "kendall_b")}
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what it says, and below it in small, line by line, what that stands on."""

    text: str
    small: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        lead: one sentence that says how to read it.
        names: how many columns, from the left, hold names and not numbers.
    """

    title: str
    lead: str
    names: int
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def grids(agreement: Agreement) -> list[Grid]:
    """The tables that have any row."""
    found = (
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
        retest_grid(agreement.retest),
    )
    return [grid for grid in found if grid.rows]


def estimate_cell(one: Estimate, *more: str) -> Cell:
    """A number with its interval, or that it is undefined and why."""
    if one.value is None:
        return Cell("undefined", (one.why,))
    interval = "" if one.low is None or one.high is None else f"[{one.low:.3f}, {one.high:.3f}]"
    return Cell(f"{one.value:.3f}", tuple(filter(None, (interval, *more))))


def _people(rows: Sequence[PeopleRow]) -> Grid:
    levels = [level for level in LEVELS if any(level in row.alpha for row in rows)]
    return Grid(
        "People among themselves",
        "Krippendorff's alpha: 1 is full agreement, 0 is chance. Pairs: share of pairs of raters who agree exactly.",
        2,
        ("dimension", "category", *(f"alpha {level}" for level in levels), "pairs", "mean", "units"),
        [
            [
                _dimension(row.dimension),
                Cell(row.category),
                *(estimate_cell(row.alpha[level]) if level in row.alpha else Cell("-") for level in levels),
                estimate_cell(row.pairwise),
                estimate_cell(row.mean),
                _units(row),
            ]
            for row in rows
        ],
    )


def _dimension(name: str) -> Cell:
    return Cell("any" if name == ANY else name)


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
            [_dimension(row.dimension), _name(row), Cell(row.category), *_coefficients(row), _counts(row)]
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
    facts = [f"{row.clusters} prompts"]
    facts += [f"pairs of {row.paired} of them"] if row.paired < row.n else []
    facts += [f"unscored {row.unscored} ({row.unscored_share:.1%})"] if row.unscored else []
    facts += [f"{count} {why}" for why, count in row.reasons.items()]
    facts += [f"not applicable {row.not_applicable}"] if row.not_applicable else []
    facts += [f"not asked {row.not_asked}"] if row.not_asked else []
    return Cell(str(row.n), tuple(facts))


def _ceiling(rows: Iterable[JudgeRow]) -> Grid:
    lines: dict[tuple[str, str, str], list[Cell]] = {}
    for row in rows:
        if row.ceiling is None or not row.ceiling.raters:
            continue
        place = [_dimension(row.dimension), Cell(row.category)]
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
            [_dimension(row.dimension), Cell(row.judge), *(_average_cell(row, name) for name in SHOWN)]
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
                _dimension(row.dimension),
                Cell(row.category),
                estimate_cell(row.pairwise),
                estimate_cell(row.alpha["interval"]) if "interval" in row.alpha else Cell("-"),
                Cell(str(row.raters)),
                Cell(str(row.units)),
            ]
            for row in rows
        ],
    )


def markdown(grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """All tables with their titles, and the notes as a list."""
    parts = [f"## {grid.title}\n\n{grid.lead}\n\n{_markdown_table(grid)}" for grid in grids]
    if notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {_markdown_text(note)}" for note in notes))
    return "\n\n".join(["# Agreement", *parts]) + "\n"


def latex(grids: Sequence[Grid]) -> str:
    """A table each, for the package booktabs; intervals stand beside their numbers in small print."""
    return "\n\n".join(_latex_table(grid) for grid in grids) + "\n"


def _markdown_table(grid: Grid) -> str:
    rules = ["---"] * grid.names + ["---:"] * (len(grid.header) - grid.names)
    lines = [list(map(_markdown_text, grid.header)), rules]
    lines += [[_markdown_cell(cell) for cell in row] for row in grid.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_cell(cell: Cell) -> str:
    small = f" ({_markdown_text('; '.join(cell.small))})" if cell.small else ""
    return f"{_markdown_text(cell.text)}{small}"


def _markdown_text(text: str) -> str:
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_{}<>|])", r"\\\1", flat)


def _latex_table(grid: Grid) -> str:
    columns = "l" * grid.names + "r" * (len(grid.header) - grid.names)
    rows = [" & ".join(map(_latex_text, grid.header)), *(" & ".join(map(_latex_cell, row)) for row in grid.rows)]
    head, *body = (f"    {row} \\\\" for row in rows)
    return "\n".join(
        (
            r"\begin{table}",
            f"  \\caption{{{_latex_text(grid.title)}. {_latex_text(grid.lead)}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            head,
            r"    \midrule",
            *body,
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        )
    )


def _latex_cell(cell: Cell) -> str:
    small = f" {{\\scriptsize {_latex_text('; '.join(cell.small))}}}" if cell.small else ""
    return f"{_latex_text(cell.text)}{small}"


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
