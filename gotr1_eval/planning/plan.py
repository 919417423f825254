"""Cost estimates: judging so many pictures with a served model, or training by the paper's recipe (section 4), in which
a step of GRPO is the rollout, its judges and the update; rows, totals and the assumptions behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.types import Json
from gotr1_eval.models.vlms.server_settings import smart_resized
from gotr1_eval.planning import flops
from gotr1_eval.planning.assumptions import Assumptions, Gpu
from gotr1_eval.planning.phases import Phase, reading, writing
from gotr1_eval.planning.questions import Question, questions
from gotr1_eval.planning.sizes import GeneratorSize, JudgeSize, Tower, generator_size, judge_size

MAX_PIXELS = 12_845_056
"""Of Qwen2.5-VL's released picture processor, as its smallest is 3136."""


def judge_pictures(
    images: float, asked: Sequence[Question], size: JudgeSize, gpu: Gpu, given: Assumptions
) -> list[Phase]:
    """A phase for each kind of question: reading it, picture included, and writing the answer.

    Raises:
        UsageError: the weights and the questions under way do not fit into one GPU.
    """
    longest = max(question_tokens(question, size) + question.answer for question in asked)
    need = needed_memory(size, longest, given)
    if need > gpu.memory:
        raise UsageError(
            f"a copy of the judge with {given.judge_batch} questions under way needs {need / 1e9:.0f} GB, a GPU has "
            f"{gpu.memory / 1e9:.0f}: choose a smaller judge or --set judge_batch, or plan a group of GPUs as one with "
            "--set gpu_memory, gpu_flops and gpu_bandwidth"
        )
    return [phase for question in asked for phase in question_phases(images, question, size, gpu, given)]


def needed_memory(size: JudgeSize, tokens: float, given: Assumptions) -> float:
    """Bytes of the weights and of the caches of the questions under way."""
    cache = flops.cache_bytes(size.language, given.weight_bytes) * tokens * given.judge_batch
    return flops.judge_weights(size) * given.weight_bytes + cache


def question_phases(images: float, question: Question, size: JudgeSize, gpu: Gpu, given: Assumptions) -> list[Phase]:
    """Reading and answering one kind of question about so many pictures, whether or not the weights fit into memory."""
    calls, read = images * question.calls, question_tokens(question, size)
    eyes = (
        0.0 if question.side is None else flops.tower(size.tower, _seen(question.side, size.tower), size.language.width)
    )
    each = flops.language(size.language, read) + flops.head(size.language, 1) + eyes
    asking = reading(f"{question.judge}: reading", calls * each, gpu, given.read_share, calls)
    answer = writing(
        f"{question.judge}: answering",
        size.language,
        flops.language_weights(size.language),
        rows=calls,
        batch=min(given.judge_batch, calls),
        new=question.answer,
        past=read,
        extra=0.0,
        gpu=gpu,
        given=given,
    )
    return [asking, answer]


def question_tokens(question: Question, size: JudgeSize) -> float:
    """Of the text and the picture that is shown."""
    shown = 0 if question.side is None else flops.picture_tokens(size.tower, _seen(question.side, size.tower))
    return question.text + shown


def _seen(side: int, tower: Tower) -> tuple[int, int]:
    """The size at which the model looks at a square picture."""
    return smart_resized((side, side), factor=tower.patch * tower.merge, min_pixels=3136, max_pixels=MAX_PIXELS)


def rollout(size: GeneratorSize, samples: int, gpus: int, gpu: Gpu, given: Assumptions) -> list[Phase]:
    """Chains, image tokens and pixels of a step's samples, over so many GPUs."""
    text, batch = size.language, min(given.tile, samples / gpus)
    rows = 2 if given.guided else 1
    before = given.prompt_tokens + given.chain_tokens
    weights = flops.language_weights(text)
    chains = writing(
        "chains", text, weights, rows=samples, batch=batch, new=given.chain_tokens, past=given.prompt_tokens,
        extra=0.0, gpu=gpu, given=given,
    )  # fmt: skip
    token = flops.image_head(size, 1) + flops.image_embedding(size, 1)
    weights_a_token = text.layers * flops.layer_weights(text) + text.width * (text.width + size.codes)
    images = writing(
        "image tokens", text, weights_a_token, rows=rows * samples, batch=rows * batch, new=size.tokens, past=before,
        extra=token, gpu=gpu, given=given, head=False,
    )  # fmt: skip
    read = samples * (flops.language(text, given.prompt_tokens) + rows * flops.language(text, before))
    return [
        reading("prompts and chains, read", read, gpu, given.read_share),
        chains,
        images,
        reading("pixels", samples * size.decode_flops, gpu, given.read_share),
    ]


def forward_flops(size: GeneratorSize, given: Assumptions) -> float:
    """One scoring pass over a sample: chain and picture in one sequence, the unconditional row beside it."""
    text, rows = size.language, 2 if given.guided else 1
    length = given.prompt_tokens + given.chain_tokens + size.tokens - 1
    heads = flops.head(text, given.chain_tokens) + rows * flops.image_head(size, size.tokens)
    return rows * (flops.language(text, length) + flops.image_embedding(size, size.tokens - 1)) + heads


def update(size: GeneratorSize, samples: int, gpu: Gpu, given: Assumptions) -> list[Phase]:
    """The passes over a rollout: reference, old scores where there are several updates, and the updates."""
    each = samples * forward_flops(size, given)
    before = (1 if given.reference else 0) + (1 if given.updates > 1 else 0)
    scoring = [reading("reference, old scores", before * each, gpu, given.train_share)] if before else []
    return [*scoring, reading("updates", given.updates * (1 + given.backward) * each, gpu, given.train_share)]


def sampling_memory(size: GeneratorSize, samples: int, gpus: int, given: Assumptions) -> float:
    """Bytes on one GPU while it samples: weights, and the caches of a tile's rows at full length."""
    rows = (2 if given.guided else 1) * min(given.tile, samples / gpus)
    length = given.prompt_tokens + given.chain_tokens + size.tokens
    cache = rows * length * flops.cache_bytes(size.language, given.weight_bytes)
    return flops.generator_weights(size) * given.weight_bytes + cache


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
    generator: str,
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
    size, machine, samples = generator_size(generator), given.gpu(gpu), prompts * group
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
        title=f"{steps:,} steps of GRPO on {generator}, {prompts} prompts with {group} samples, on {gpus} x {gpu}, "
        f"judged by {', '.join(judges)} with {judge} on {judge_gpus} more",
        rows=[*work, *judging],
        steps=steps,
        seconds=steps * step_s,
        gpus=gpus + judge_gpus,
        bytes={
            "policy's weights": flops.generator_weights(size) * given.weight_bytes,
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
