"""An audit of judges: cases with known answers, in eight parts, and a report card with a grade per part.

    spatial       plans whose relation is true, false or ambiguous by construction; drawn against written boxes
    metamorphic   changes that must turn the verdict, and changes that must not touch it
    semantic      one fault at a time in the words of a chain
    grounding     scenes and composed pictures with known boxes; phantoms; coordinate frames
    prompt-image  one picture under its true prompt and under three false ones
    questions     one question about a picture, with the answer that is right and with one that is wrong
    attacks       pictures of something else, with writing, copies, frames, colours, bad files; blank ones
    robustness    orders, flattery, other files, the same sample again; and the share unscored in every part

Departure from what people call a benchmark: nothing here says how good a judge is on real pictures, only that
what it gets wrong here is wrong beyond dispute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.audit import attacks, grounding, metamorphic, prompt_image, questions, robustness, semantic, spatial
from benchmarks.audit.card import Card, grade_run
from benchmarks.audit.cases import SUITE, Looks, Planned, plan_part
from benchmarks.audit.examined import VARIANT, VARIANT_SETTINGS, Examined
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.stages import Progress
from gotr1_eval.runs.store import save_image
from reports.run_data import load_run
from rewards.reward_set import RewardSet

VERSION = 2
"""Counted up whenever a sample of the plan, or a known answer, changes."""
PARTS = (
    spatial.PART, metamorphic.PART, semantic.PART, grounding.PART, prompt_image.PART, questions.PART, attacks.PART,
    robustness.PART,
)  # fmt: skip
SIZES: Mapping[str, int] = {"small": 8, "medium": 40, "large": 160}
"""Cases of each part for each kind of judge."""


class AuditPictures:
    """Draws the pictures of the audit's samples."""

    name = "audit"
    fingerprint = f"audit-{VERSION}"
    independent = True

    def __init__(self, plan: Sequence[Planned]) -> None:
        self._pictures: dict[str, Callable[[], Image.Image]] = {
            planned.sample.id: planned.variant.picture for planned in plan if planned.variant.picture is not None
        }

    def fingerprint_of(self, planned: Iterable[Sample]) -> str:
        """The same, whatever the samples."""
        return self.fingerprint

    def fitting_tile(self, most: int) -> int:
        """Any number of drawings fits."""
        return most

    def complete(self, planned: Sequence[Sample], run: Path) -> list[Sample]:
        """The samples with their pictures, where they have any."""
        return [self._complete(sample, run) for sample in planned]

    def _complete(self, sample: Sample, run: Path) -> Sample:
        draw = self._pictures.get(sample.id)
        image = None if draw is None else save_image(run, sample.id, draw())
        return replace(sample, image=image, generator=self.name)


def plan_audit(seed: int, size: str, looks: Sequence[Looks]) -> list[Planned]:
    """Every sample for judges of the given kinds; what is judged a second time comes last."""
    planned = [one for part in PARTS for one in plan_part(part, seed, SIZES[size])]
    wanted = [one for one in planned if one.sample.meta["looks_at"] in looks]
    return sorted(wanted, key=lambda one: one.sample.meta["role"] == robustness.AGAIN)


def run_audit(
    folder: Path,
    judges: Mapping[str, tuple[Judge, Looks]],
    *,
    variants: Mapping[str, Judge] | None = None,
    size: str = "medium",
    seed: int = 0,
    tile: int | None = None,
    progress: Progress | None = None,
) -> list[Card]:
    """Audit judges in a run folder, and grade them; resumes what is there.

    Args:
        judges: factor -> (judge, what it looks at).
        variants: ``<factor>~<what differs>`` -> the same judge with one thing different
            (see `benchmarks.audit.examined.variant_specs`); each is asked only where the difference is measured.
        size: of `SIZES`.

    Raises:
        UsageError: the folder holds another run.
    """
    kinds = sorted({looks for _, looks in judges.values()})
    plan = plan_audit(seed, size, kinds)
    examined: dict[str, Judge] = {factor: Examined(judge, looks) for factor, (judge, looks) in judges.items()}
    for factor, judge in (variants or {}).items():
        changed = factor.partition(VARIANT)[2]
        asked = {"metamorphic": ("base",)} if changed in VARIANT_SETTINGS else {"spatial": ()}
        examined[factor] = Examined(judge, Looks.PLAN, asked)
    facts: dict[str, Any] = {"suite": SUITE, "size": size, "seed": seed, "looks_at": [kind.value for kind in kinds]}
    samples = [one.sample for one in plan]
    job = Job(
        folder=folder,
        samples=samples,
        pictures=AuditPictures(plan),
        rewards=RewardSet(examined),
        settings=facts,
        tile=tile,
    )
    run_job(job, progress=progress)
    return grade_run(load_run(folder), PARTS, {factor: looks for factor, (_, looks) in judges.items()})
