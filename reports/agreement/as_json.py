"""An agreement as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from gotr1_eval.core.statistics.intervals import Estimate
from gotr1_eval.core.types import Json
from reports.agreement.analysis import Agreement
from reports.agreement.judged import AverageRow, JudgeRow
from reports.agreement.people import PeopleRow, mean_over_categories

OVER_CATEGORIES = ("mean", "majority_vote", "pairwise", "majority_share")


def agreement_json(agreement: Agreement) -> dict[str, Json]:
    """Everything but the points and the draws; undefined numbers are null with the reason beside them."""
    return {
        "options": asdict(agreement.options),
        "people": [_people(row) for row in agreement.people],
        "people_mean_over_categories": _over_categories(agreement),
        "judges": [_judge(row) for row in agreement.judges],
        "averages_over_categories": [_average(row) for row in agreement.averages],
        "judge_against_judge": [_judge(row) for row in agreement.between],
        "test_retest": [_people(row) for row in agreement.retest],
        "notes": list(agreement.notes),
        "left_out": list(agreement.left_out),
    }


def _people(row: PeopleRow) -> dict[str, Json]:
    plain: dict[str, Json] = {
        name: getattr(row, name) for name in ("dimension", "category", "units", "paired", "ratings", "raters")
    }
    numbers = {name: _estimate(getattr(row, name)) for name in ("pairwise", "majority_share", "mean", "majority_vote")}
    return {**plain, "alpha": _estimates(row.alpha), **numbers}


def _judge(row: JudgeRow) -> dict[str, Json]:
    names = ("judge", "against", "dimension", "category", "n", "paired", "clusters")
    counts = ("unscored", "unscored_share", "not_applicable", "not_asked")
    plain: dict[str, Json] = {name: getattr(row, name) for name in (*names, *counts)}
    ceiling = row.ceiling
    return {
        **plain,
        "reasons": dict(row.reasons),
        "coefficients": _estimates(row.coefficients),
        "epsilon": row.epsilon,
        "p_values": dict(row.p_values),
        "bounds": {name: list(bound) for name, bound in row.bounds.items()},
        "ceiling": None if ceiling is None else _estimates(ceiling.coefficients),
        "beside_ceiling": _estimates(row.beside_ceiling),
        "ceiling_raters": 0 if ceiling is None else ceiling.raters,
    }


def _average(row: AverageRow) -> dict[str, Json]:
    return {
        "judge": row.judge,
        "dimension": row.dimension,
        "categories": row.of,
        "defined_in": dict(row.categories),
        "coefficients": _estimates(row.coefficients),
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


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, Json]:
    return {name: _estimate(one) for name, one in estimates.items()}


def _estimate(one: Estimate) -> dict[str, Json]:
    found: dict[str, Json] = {"value": one.value, "low": one.low, "high": one.high}
    return found | {"why": one.why} if one.value is None else found
