"""What `bench --list` shows: every benchmark with its prompts, judges, questions, licence, and what it lacks here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from benchmarks.official import ASKED, looks_with, role_option
from gotr1_eval.build import Builder
from gotr1_eval.cli.terminal import out
from gotr1_eval.core.errors import GotR1Error
from gotr1_eval.core.plugins import BENCHMARKS, JUDGES
from gotr1_eval.core.protocols import Foreseeing, Judge, OfficialMetric, Suite
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.files.official_files import STATED as WEIGHTS
from gotr1_eval.files.official_files import find_interchangeable, known_files, weights_folder
from gotr1_eval.files.public_data import PublicData, known_data
from gotr1_eval.runs.samples import list_samples
from rewards.reward_set import read_reward_set

_ANSWERER: dict[str, Json] = {"use": "shapes"}
"""Stands for any language-vision model where questions are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One benchmark as it can be run here.

    Attributes:
        prompts: None where they are not on this machine.
        pictures: a prompt.
        judged_by: the options that name the models of its own metrics; the reward set of one without any.
        calls: questions to a language-vision model, a picture on average; None where only the prompts could tell.
        licence: of its prompts; empty where they are made here.
        missing: what must be brought before it runs.
    """

    name: str
    prompts: int | None
    pictures: int
    judged_by: str
    calls: float | None
    licence: str
    missing: tuple[str, ...]


def listed_benchmarks(builder: Builder) -> list[Listed]:
    """Every suite that needs no setting of its own, by name."""
    data = {one.key: one for one in known_data()}
    suites = sorted(builder.suites(), key=lambda suite: suite.name)
    return [_listed(suite, data.get(suite.name), builder) for suite in suites]


def _listed(suite: Suite, data: PublicData | None, builder: Builder) -> Listed:
    samples = _samples(suite)
    fetch = [] if data is None or not data.missing else [f"gotr1-eval data fetch {data.key}"]
    return Listed(
        name=suite.name,
        prompts=None if samples is None else len(samples),
        pictures=suite.images_per_prompt,
        judged_by=_judged_by(suite),
        calls=_calls(suite, samples, builder),
        licence="" if data is None else data.licence,
        missing=(*fetch, *_missing_weights(suite)),
    )


def _samples(suite: Suite) -> list[Sample] | None:
    """A sample a prompt; None where the prompts are not there."""
    try:
        return list_samples(suite, suite.categories, images_per_prompt=1, limit=None, seed=0)
    except GotR1Error:
        return None


def _judged_by(suite: Suite) -> str:
    roles = dict.fromkeys(role for metric in suite.official for role in looks_with(metric))
    needed = {role for metric in suite.official for role in looks_with(metric, needed=True)}
    options = [role_option(role) if role in needed else f"[{role_option(role)}]" for role in roles]
    return " ".join(options) if suite.official else f"--judges {suite.reward_set}"


def _calls(suite: Suite, samples: Sequence[Sample] | None, builder: Builder) -> float | None:
    """The mean over the prompts; 0 where its own metrics, or the judges of its reward set, ask nobody."""
    asking = [metric for metric in suite.official if ASKED in looks_with(metric)]
    if asking and not samples:
        return None
    judges = [_judge(metric, builder) for metric in asking] if suite.official else _rewards(suite, builder)
    known = [judge for judge in judges if judge is not None]
    if not samples or len(known) < len(judges):
        return None if judges else 0.0
    return sum(_calls_of(judge, sample) for judge in known for sample in samples) / len(samples)


def _rewards(suite: Suite, builder: Builder) -> list[Judge]:
    """The judges of its reward set, with a model that is never asked where they ask one."""
    if suite.reward_set is None:
        return []
    asks = any("vlm" in JUDGES.load(str(spec["use"])).Settings.model_fields
               for spec in read_reward_set(suite.reward_set).judges.values())  # fmt: skip
    return [*builder.reward_set(suite.reward_set, _ANSWERER if asks else None).judges.values()]


def _judge(metric: OfficialMetric, builder: Builder) -> Judge | None:
    """The metric's judge, with a model that is never asked; None where it lacks files or further models."""
    if set(looks_with(metric, needed=True)) - {ASKED}:
        return None
    try:
        return builder.judge({"use": metric.judge, ASKED: _ANSWERER})
    except GotR1Error:
        return None


def _calls_of(judge: Judge, sample: Sample) -> int:
    return judge.calls(sample).calls if isinstance(judge, Foreseeing) else judge.model_calls


def _missing_weights(suite: Suite) -> list[str]:
    """The official files of its models that are not on this machine; the hub's come when they are first used."""
    own = BENCHMARKS.folder(suite.name)
    stated = own is not None and (own / WEIGHTS).is_file()
    uses = {suite.name, suite.name.replace("-", "_"), *suite.categories} if stated else set()
    folder = weights_folder()
    wanted = [file for file in known_files() if uses & set(file.made_for) and file.instead_of is None]
    lacking = [file for file in wanted if find_interchangeable(file, folder) is None]
    return [f"{file.key} (hub)" if file.on_hub else file.key for file in lacking]


def show_benchmarks() -> None:
    """Print the table, and below it what is missing here; no name and no option is broken at 80 columns."""
    found = listed_benchmarks(Builder())
    rows = [
        (
            one.name,
            f"{'?' if one.prompts is None else format(one.prompts, ',')} x {one.pictures}",
            one.judged_by,
            "?" if one.calls is None else f"{one.calls:.1f}".removesuffix(".0"),
            one.licence or "-",
        )
        for one in found
    ]
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(("benchmark", "prompts", "judged by", "calls", "licence")):
        words = [word for row in rows for word in ([row[place]] if place < 2 else row[place].split())]
        grid.add_column(heading, overflow="fold", min_width=max(map(len, [heading, *words])))
    for row in rows:
        grid.add_row(*map(Text, row))
    out.print(grid)
    notes = "calls: questions to a model, a picture. ?: known once the prompts are fetched. (hub): comes at first use."
    out.print(notes, style="dim", markup=False, soft_wrap=True)
    if any(one.missing for one in found):
        out.print("\nmissing here", style="bold")
    for one in found:
        if one.missing:
            out.print(f"{one.name}: {', '.join(one.missing)}", markup=False, soft_wrap=True)
