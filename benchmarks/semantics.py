"""What judges of official metrics have in common: two readings, names, and inputs without a score.

`reference` computes what the official script computes, bug for bug, so that a number may stand beside published ones.
`corrected` mends the deviations that docs/metrics.md lists, so that the number means what the metric's paper says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal

from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.types import Sample

Semantics = Literal["reference", "corrected"]


class UndefinedScoreError(ValueError):
    """The metric has no value for this input: the official script ends there with an exception.

    Args:
        message: what is missing, for people.
        official_error: name of the exception type with which the official script stops; empty where only `corrected`
            refuses to give a number.
    """

    def __init__(self, message: str, official_error: str = "") -> None:
        super().__init__(message)
        self.official_error = official_error


def within(
    categories: Collection[str], samples: Sequence[Sample], judge: Callable[[Sequence[Sample]], Sequence[Outcome]]
) -> list[Outcome]:
    """The outcomes of the samples in these categories, asked for together; `NOT_APPLICABLE` for all others."""
    what = f"a metric of the categories {', '.join(categories)}"
    return where_it_applies(lambda sample: sample.meta.get("category") in categories, samples, judge, what)


def where_it_applies(
    applies: Callable[[Sample], bool],
    samples: Sequence[Sample],
    judge: Callable[[Sequence[Sample]], Sequence[Outcome]],
    what: str,
) -> list[Outcome]:
    """The outcomes of the samples that the judge is for; `NOT_APPLICABLE`, and what it is for, for all others."""
    mine = [applies(sample) for sample in samples]
    chosen = [sample for sample, is_mine in zip(samples, mine, strict=True) if is_mine]
    outcomes = iter(judge(chosen) if chosen else ())
    other = Unscored(why=Why.NOT_APPLICABLE, detail=what)
    return [next(outcomes) if is_mine else other for is_mine in mine]


def undefined(error: UndefinedScoreError) -> Unscored:
    """The outcome where a metric has no value: counted, with the exception that ends the official script there."""
    official = f" (the official script ends with {error.official_error})" if error.official_error else ""
    return Unscored(why=Why.UNDEFINED, detail=f"{error}{official}")


def metric_name(metric: str, makers: Sequence[str], semantics: Semantics) -> str:
    """``metric[maker, maker, semantics]``: a number's name says everything that made it."""
    return f"{metric}[{', '.join([*makers, semantics])}]"


def official_prompt(prompt: str, semantics: Semantics) -> str:
    """T2I-CompBench's scripts take the prompt from the file name, up to its first underscore."""
    return prompt.partition("_")[0] if semantics == "reference" else prompt
