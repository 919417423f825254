"""Plans: judging so many pictures, or training by the paper's recipe; rows, totals and the assumptions behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Json
from gotr1_eval.planning import flops
from gotr1_eval.planning.assumptions import Assumptions
from gotr1_eval.planning.judging import judge_pictures
from gotr1_eval.planning.phases import Phase
from gotr1_eval.planning.questions import questions
from gotr1_eval.planning.sizes import judge_size, painter_size
from gotr1_eval.planning.training import rollout, sampling_memory, update


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run takes.

    Attributes:
        title: what is planned.
        rows: phases; a training plan's are of one step.
        steps: how often the rows are gone through.
        seconds: of the whole run on the given GPUs, one phase after the other.
        gpus: all that are held during that time.
        bytes: facts about sizes by name.
        assumed: every assumption and its value.
    """

    title: str
    rows: Sequence[Phase]
    steps: int
    seconds: float
    gpus: int
    bytes: dict[str, float]
    assumed: dict[str, Json]

    @property
    def gpu_hours(self) -> float:
        """Of all GPUs that are held."""
        return self.seconds * self.gpus / 3600

    @property
    def flops(self) -> float:
        """Of the whole run."""
        return self.steps * sum(row.flops for row in self.rows)

    @property
    def calls(self) -> float:
        """Questions to the judge, in the whole run."""
        return self.steps * sum(row.calls for row in self.rows)

    def json(self) -> dict[str, Json]:
        """Everything as JSON values."""
        totals = {"flops": self.flops, "judge_calls": self.calls, "gpu_hours": self.gpu_hours}
        return {**asdict(self), **totals, "rows": [asdict(row) for row in self.rows]}


def plan_judging(images: int, judge: str, judges: Sequence[str], gpu: str, gpus: int, given: Assumptions) -> Plan:
    """Judging pictures that exist.

    Raises:
        UsageError: an unknown judge or GPU, or a judge that does not fit into one.
    """
    size, machine = judge_size(judge), given.gpu(gpu)
    rows = judge_pictures(images, questions(judges, given), size, machine, given)
    calls = sum(row.calls for row in rows)
    return Plan(
        title=f"judging {images:,} pictures by {', '.join(judges)} with {judge} on {gpus} x {gpu}",
        rows=rows,
        steps=1,
        seconds=sum(row.seconds for row in rows) / gpus,
        gpus=gpus,
        bytes={
            "pictures read": images * given.image_bytes,
            "judgments written": calls * given.row_bytes,
            "judge's weights": flops.judge_weights(size) * given.weight_bytes,
        },
        assumed=_assumed(given, gpu),
    )


def plan_training(
    painter: str,
    judge: str,
    judges: Sequence[str],
    *,
    steps: int,
    prompts: int,
    group: int,
    gpu: str,
    gpus: int,
    judge_gpus: int,
    given: Assumptions,
) -> Plan:
    """GRPO by the paper's recipe, the judge on GPUs of its own; rollout, judging and update follow one another.

    Raises:
        UsageError: unknown names, prompts that cannot be divided over the GPUs, or what does not fit into one.
    """
    size, machine, samples = painter_size(painter), given.gpu(gpu), prompts * group
    if prompts % gpus:
        raise UsageError(
            f"--prompts {prompts}: {gpus} GPUs need a multiple of their number, since a group stays on one"
        )
    memory = sampling_memory(size, samples, gpus, given)
    if memory > machine.memory:
        raise UsageError(
            f"sampling {given.tile} sequences at a time needs {memory / 1e9:.0f} GB, a GPU has "
            f"{machine.memory / 1e9:.0f}: lower it with --set tile"
        )
    work = [*rollout(size, samples, gpus, machine, given), *update(size, samples, machine, given)]
    judging = judge_pictures(samples, questions(judges, given), judge_size(judge), machine, given)
    step_s = sum(row.seconds for row in work) / gpus + sum(row.seconds for row in judging) / judge_gpus
    return Plan(
        title=f"{steps:,} steps of GRPO on {painter}, {prompts} prompts with {group} samples, on {gpus} x {gpu}, "
        f"judged by {', '.join(judges)} with {judge} on {judge_gpus} more",
        rows=[*work, *judging],
        steps=steps,
        seconds=steps * step_s,
        gpus=gpus + judge_gpus,
        bytes={
            "policy's weights": flops.painter_weights(size) * given.weight_bytes,
            "weights and caches while sampling, a GPU": memory,
            "judge's weights": flops.judge_weights(judge_size(judge)) * given.weight_bytes,
        },
        assumed=_assumed(given, gpu),
    )


def _assumed(given: Assumptions, gpu: str) -> dict[str, Json]:
    machine = given.gpu(gpu)
    numbers: dict[str, Json] = given.model_dump(exclude={"gpu_flops", "gpu_bandwidth", "gpu_memory"})
    return {
        **numbers, "gpu_flops": machine.flops, "gpu_bandwidth": machine.bandwidth, "gpu_memory": machine.memory,
    }  # fmt: skip
