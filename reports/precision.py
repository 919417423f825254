"""What a finished run, or a pilot, says about how many pictures its means would need to be as exact as one wants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gotr1_eval.core.statistics.precision import Components, PrecisionPlan, plan_precision, variance_components
from gotr1_eval.core.statistics.summary import scored_groups
from gotr1_eval.core.types import Json
from reports.run_data import JudgeColumn, RunData
from reports.run_summary import ALL, judged_samples, row_tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMean:
    """A mean of a run's table, and what would make it exact.

    Attributes:
        images: pictures of a prompt that the run has scored, on average.
        plan: None where the run cannot tell: a task has a single prompt, or no prompt has two scored pictures.
    """

    row: str
    judge: JudgeColumn
    images: float
    plan: PrecisionPlan | None

    def json(self, half_width: float) -> dict[str, Json]:
        """Everything `sentences` says, as JSON values; the half-widths are absolute, on the score's own scale."""
        facts: dict[str, Json] = {"row": self.row, "judge": self.judge.name, "half_width": half_width}
        facts |= {"images_per_prompt_scored": self.images, "known": self.plan is not None}
        if self.plan is not None:
            facts |= {
                "prompts": self.plan.prompts,
                "half_width_now": self.plan.half_width(self.images),
                "half_width_floor": self.plan.floor,
                "images_per_prompt": self.plan.images_for(half_width),
                "prompts_needed": self.plan.prompts_for(half_width, self.images),
                "images_per_prompt_for_seeds": self.plan.images_for_seeds(half_width),
            }
        return facts

    def sentences(self, half_width: float) -> list[str]:
        """What a person wants to know: how exact it is, what would do, and plainly when no number of pictures does."""
        if self.plan is None:
            return ["cannot be told: it takes two prompts in every task, and two scored pictures of some prompt"]
        plan, now = self.plan, f"{self.images:.3g}"
        images = plan.images_for(half_width)
        lines = [f"±{plan.half_width(self.images):.4f} over prompts, with {plan.prompts} prompts of {now} pictures"]
        if images is not None:
            lines.append(f"±{half_width:g} over prompts takes {images} pictures a prompt")
        else:
            needed = plan.prompts_for(half_width, self.images)
            lines.append(
                f"±{half_width:g} over prompts: no number of pictures is enough, the {plan.prompts} prompts alone "
                f"leave ±{plan.floor:.4f}; it takes {needed} such prompts of {now} pictures"
            )
        seeds = plan.images_for_seeds(half_width)
        return [*lines, f"±{half_width:g} over seeds, with these prompts fixed, takes {seeds} pictures a prompt"]


def plan_run(run: RunData, prompts: int | None = None) -> Iterator[PlannedMean]:
    """Every mean of the run's table that stands on a score.

    Args:
        prompts: of each category in the run that is planned, where this one is a pilot; None for as many as it has.
    """
    for row, tasks in row_tasks(run).items():
        for column in run.judges:
            groups = [scored_groups(judged_samples(run, task, column.name)) for task in tasks]
            sizes = [len(values) for task in groups for values in task]
            pooled = _scored(run, tasks[0], column) if len(tasks) == 1 else 1
            if not sizes or (row == ALL and pooled == 1):  # the category's own row has said it
                continue
            found = [variance_components(task) for task in groups if task]
            known: list[Components] = [components for components in found if components is not None]
            planned = None if prompts is None else prompts * pooled
            plan = plan_precision(known, planned) if len(known) == len(found) else None
            yield PlannedMean(row=row, judge=column, images=sum(sizes) / len(sizes), plan=plan)


def _scored(run: RunData, categories: list[str], column: JudgeColumn) -> int:
    """How many of the categories the judge has scored anything of: a pooled row has the prompts of all of them."""
    return sum(bool(scored_groups(judged_samples(run, [category], column.name))) for category in categories)
