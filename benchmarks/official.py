"""What suites have in common: the optional parts of one, and which judges and models its official metrics take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.plugins import JUDGES
from gotr1_eval.core.protocols import OfficialMetric, OfficialSummary, PictureLayout, Suite
from gotr1_eval.core.types import Json
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


def served(model: str, port: int) -> dict[str, Json]:
    """The settings of a language-vision model that a server on this machine offers under that name."""
    return {"use": "openai_compatible", "base_url": f"http://127.0.0.1:{port}/v1", "model": model}


class PlainSuite:
    """The optional parts of `gotr1_eval.core.protocols.Suite`; a suite overrides those that it has."""

    name: str
    official: tuple[OfficialMetric, ...] = ()
    layout: PictureLayout | None = None

    def facts(self, category: str, prompt_index: int) -> Mapping[str, Json]:
        """Nothing besides the text."""
        return {}

    def official_models(self, category: str, file: Callable[[str], str]) -> Mapping[str, Mapping[str, Json]]:
        """None: there are no published scores, or they were made without models."""
        return {}

    def write_official(self, run: Path) -> list[str]:
        """Nothing: the table holds what official scripts print, or there are none."""
        return []

    def sum_up_results(self, path: Path, images_per_prompt: int | None) -> OfficialSummary:
        """Raises UsageError: no official script writes such a file."""
        raise UsageError(
            f"--results {path}: no official script of suite {self.name} writes a file that can be summed up"
        )
