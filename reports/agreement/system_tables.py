"""Systems under two sides as tables: means and places, how alike the orders are, pairs that flip, self-preference."""

from __future__ import annotations

from collections.abc import Sequence

from reports.agreement.grids import Cell, Grid, dimension_cell, estimate_cell
from reports.agreement.systems import SystemPair, SystemsRow

MOST_FLIPS = 12
"""Pairs that flip and are named, those first that are farthest apart; --json and --out name all."""
FORMS = {"verdicts": "of means", "ranks": "of comparisons won", "fitted": "beside the line of the others"}


def system_grids(rows: Sequence[SystemsRow]) -> list[Grid]:
    """The tables; those without a row are left out by the caller."""
    return [_orders(rows), _distances(rows), _flips(rows), _means(rows), _preferences(rows)]


def _orders(rows: Sequence[SystemsRow]) -> Grid:
    return Grid(
        "Systems: how alike both sides order them",
        "Kendall's tau-b of the systems' means, with its spread over draws of prompts, which says how stable the order "
        "is. Soft pairwise accuracy: how alike both are in their certainty which of two systems is better. Undecided: "
        "on one side or both the interval of the difference holds 0.",
        2,
        ("dimension", "judge", "Kendall tau-b", "soft pairwise accuracy", "pairs", "flipped", "undecided"),
        [
            [
                *_names(row),
                estimate_cell(row.tau),
                Cell("undefined" if row.soft is None else f"{row.soft:.3f}"),
                Cell(str(len(row.pairs)), (f"{len(row.systems)} systems", f"{row.prompts} prompts")),
                _flipped(row.pairs),
                Cell(str(sum(pair.undecided for pair in row.pairs))),
            ]
            for row in rows
        ],
    )


def _names(row: SystemsRow) -> tuple[Cell, Cell]:
    return dimension_cell(row.dimension), Cell(row.judge, (f"against {row.against}",))


def _flipped(pairs: Sequence[SystemPair]) -> Cell:
    flipped = [pair for pair in pairs if pair.flipped]
    certain = sum(not pair.undecided for pair in flipped)
    return Cell(str(len(flipped)), (f"{certain} decided on both sides",) if certain else ())


def _distances(rows: Sequence[SystemsRow]) -> Grid:
    return Grid(
        "Systems: pairs that flip, by their distance",
        "The distance is that of the two means on the side that is compared with, as a share of its scores' range.",
        2,
        ("dimension", "judge", "distance", "pairs", "flipped", "share"),
        [
            [
                *_names(row),
                Cell(name),
                Cell(str(pairs)),
                Cell(str(flipped), (f"{certain} decided on both sides",) if certain else ()),
                Cell(f"{flipped / pairs:.0%}"),
            ]
            for row in rows
            for name, pairs, flipped, certain in row.by_distance()
        ],
    )


def _flips(rows: Sequence[SystemsRow]) -> Grid:
    lines = []
    for row in rows:
        flipped = sorted((pair for pair in row.pairs if pair.flipped), key=lambda pair: -pair.distance)
        lines += [
            [
                *_names(row),
                Cell(f"{pair.first} - {pair.second}"),
                estimate_cell(pair.judge),
                estimate_cell(pair.against),
            ]
            for pair in flipped[:MOST_FLIPS]
        ]
    return Grid(
        "Systems: the pairs that flip",
        f"The first system's mean minus the second's on either side; the {MOST_FLIPS} farthest apart.",
        3,
        ("dimension", "judge", "systems", "judge's difference", "the other's difference"),
        lines,
    )


def _means(rows: Sequence[SystemsRow]) -> Grid:
    return Grid(
        "Systems: means and places",
        "Over the items that both sides marked. Change: places that the judge moves a system up (+) or down.",
        3,
        (
            "dimension",
            "judge",
            "system",
            "judge's mean",
            "the other's mean",
            "place",
            "the other's place",
            "change",
            "n",
        ),
        [
            [
                *_names(row),
                Cell(one.system),
                Cell(f"{one.mean:.3f}"),
                Cell(f"{one.against:.3f}"),
                Cell(str(one.place)),
                Cell(str(one.place_against)),
                Cell(f"{one.place_against - one.place:+d}"),
                Cell(str(one.n)),
            ]
            for row in rows
            for one in row.systems
        ],
    )


def _preferences(rows: Sequence[SystemsRow]) -> Grid:
    return Grid(
        "Self-preference",
        "How far a judge favours systems of its own family over what the other side says of them: above 0 it does. Of "
        "means a stretched scale counts as favour, of comparisons won and beside the line it does not.",
        3,
        ("dimension", "judge", "against", *FORMS.values()),
        [
            [
                dimension_cell(row.dimension),
                Cell(judge),
                Cell(row.against if judge == row.judge else row.judge),
                *(estimate_cell(found[form]) for form in FORMS),
            ]
            for row in rows
            for judge, found in row.self_preference.items()
        ],
    )
