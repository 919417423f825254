"""What the judges of official metrics have in common: their categories, their names, and inputs without a score."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from benchmarks.semantics import Semantics, UndefinedScoreError
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.plugins import JUDGES
from gotr1_eval.core.protocols import OfficialMetric, Suite
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.runs.request import ROLES, RunRequest, option

ASKED = "vlm"
"""The role of the language-vision model that a metric asks; a run names it by ``--judge-model``."""


def looks_with(metric: OfficialMetric, *, needed: bool = False) -> tuple[str, ...]:
    """The roles of the models that the metric's judge takes; where `needed`, those without which it has no score."""
    fields = JUDGES.load(metric.judge).Settings.model_fields
    return tuple(role for role in (*ROLES, ASKED) if role in fields and (fields[role].is_required() or not needed))


def official_specs(
    suite: Suite, request: RunRequest, categories: Collection[str], judge_model: Mapping[str, Json] | None = None
) -> tuple[dict[str, Mapping[str, Json]], list[str]]:
    """The settings of the official judges of these categories by column, and a line for each metric that lacks a model.

    Args:
        judge_model: the language-vision model of the metrics that ask one.

    Raises:
        UsageError: models of official metrics are named, and the suite has no such metrics; or none are named, and
            nothing else can judge it.
    """
    if request.models and not suite.official:
        raise UsageError(
            f"{', '.join(map(option, request.models))}: suite {suite.name} has no official metrics and is judged by "
            "--judges"
        )
    models = request.models if judge_model is None else {**request.models, ASKED: dict(judge_model)}
    specs: dict[str, Mapping[str, Json]] = {}
    lacking = []
    for metric in suite.official:
        mine = [category for category in metric.categories if category in categories]
        absent = [role_option(role) for role in looks_with(metric, needed=True) if role not in models]
        if mine and absent:
            lacking.append(f"{', '.join(mine)}: no official score without {' and '.join(absent)}")
        elif mine:
            specs[metric.column] = _spec(metric, request, models)
    if not specs and request.judges is None and suite.reward_set is None:
        raise UsageError(f"{suite.name} needs models to look with, or judges named by --judges: {'; '.join(lacking)}")
    return specs, lacking if models else []


def role_option(role: str) -> str:
    """The option that names the model of a role."""
    return "--judge-model" if role == ASKED else option(role)


def _spec(metric: OfficialMetric, request: RunRequest, models: Mapping[str, Json]) -> dict[str, Json]:
    """The judge's settings: every model that is named and that it looks with, the benchmark's files, the semantics."""
    given: dict[str, Json] = {**models, "semantics": request.semantics}
    if request.data is not None:
        given["data"] = str(request.data)
    fields = JUDGES.load(metric.judge).Settings.model_fields
    return {
        "use": metric.judge,
        **metric.settings,
        **{name: value for name, value in given.items() if name in fields},
    }


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


def served(model: str, port: int) -> dict[str, Json]:
    """The settings of a language-vision model that a server on this machine offers under that name."""
    return {"use": "openai_compatible", "base_url": f"http://127.0.0.1:{port}/v1", "model": model}


def metric_name(metric: str, makers: Sequence[str], semantics: Semantics) -> str:
    """``metric[maker, maker, semantics]``: a number's name says everything that made it."""
    return f"{metric}[{', '.join([*makers, semantics])}]"


def official_prompt(prompt: str, semantics: Semantics) -> str:
    """T2I-CompBench's scripts take the prompt from the file name, up to its first underscore."""
    return prompt.partition("_")[0] if semantics == "reference" else prompt
