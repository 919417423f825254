"""What one judgment of a named judge takes: FLOPs and tokens by the plan's estimates, money by stated prices.

A judge's name states the model that it asks; where the plan knows the judge's questions and the model's size, it is
estimated. Judges that are computed ask none. Everything else is unknown until somebody states it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field, NonNegativeFloat

from gotr1_eval.core.errors import UsageError
from gotr1_eval.planning.assumptions import GPUS, Assumptions
from gotr1_eval.planning.plan import question_phases, question_tokens
from gotr1_eval.planning.questions import PAPER, questions
from gotr1_eval.planning.sizes import judge_size
from gotr1_eval.settings import Settings, read_settings, read_toml
from reports.agreement.marks import base_name
from reports.frontier.costs import Cost

MILLION = 1e6
COMPUTED = ("geometric", "shapes_semantic", "shapes_prompt_image")
"""Judges whose name states no model since they ask none; of a foreign name without one nothing is known."""
COMPUTED_BY = ("shapes", "shapes features", "layout features")
"""What stands in brackets of judges that are computed, in place of a model."""
_BRACKET = re.compile(r"\[(.*)\]", re.S)


class Stated(Settings):
    """What a user states of one judge's judgments.

    Attributes:
        input_price, output_price: of a million tokens.
        hour: what an hour of the machine costs that was measured; seconds are priced by it.
    """

    flops: NonNegativeFloat | None = None
    seconds: NonNegativeFloat | None = None
    input_tokens: NonNegativeFloat | None = None
    output_tokens: NonNegativeFloat | None = None
    money: NonNegativeFloat | None = None
    input_price: NonNegativeFloat | None = None
    output_price: NonNegativeFloat | None = None
    hour: NonNegativeFloat | None = None


class CostFile(Settings):
    """The file of ``--costs``.

    Attributes:
        hour: of the machine on which every judge was measured, unless a judge has its own.
        judges: judge, by its name whole or up to the bracket -> what is stated of it.
        assumptions: of a plan, where others than the usual ones are wanted.
    """

    hour: NonNegativeFloat | None = None
    judges: dict[str, Stated] = Field(default_factory=dict)
    assumptions: Assumptions | None = None


@dataclass(frozen=True, slots=True)
class _Planned:
    flops: float
    input_tokens: float
    output_tokens: float


def read_costs(path: Path | None) -> CostFile:
    """The file, or nothing stated.

    Raises:
        UsageError, DataError: it is none.
    """
    return CostFile() if path is None else read_settings(CostFile, read_toml(path), where=f"--costs {path}")


def asks_no_model(judge: str) -> bool:
    """Whether the name of a judge says that rules and pixels alone decide."""
    found = _BRACKET.search(judge)
    if found is None or base_name(judge) == "cascade":
        return judge in COMPUTED
    return bool({part.strip() for part in found[1].split(",")} & set(COMPUTED_BY))


def judge_cost(judge: str, seconds: float | None, given: CostFile) -> Cost:
    """What one judgment costs: what is stated goes before what was measured or planned.

    Args:
        seconds: measured; None where nothing was.
    """
    stated = given.judges.get(judge) or given.judges.get(base_name(judge)) or Stated()
    free, planned = asks_no_model(judge), _planned(judge, given.assumptions)
    none, plan = "no model", "planned"
    amounts: dict[str, float | None] = {}
    how: dict[str, str] = {}

    def keep(name: str, *known: tuple[float | None, str]) -> None:
        amounts[name], how[name] = next(
            ((amount, said) for amount, said in known if amount is not None), (None, "unknown")
        )

    keep(
        "flops",
        (stated.flops, "stated"),
        (0.0 if free else None, none),
        (planned.flops if planned else None, plan),
    )
    keep("seconds", (stated.seconds, "stated"), (seconds, "measured"))
    asked = stated.input_tokens if stated.input_tokens is not None else (planned.input_tokens if planned else None)
    said = stated.output_tokens if stated.output_tokens is not None else (planned.output_tokens if planned else None)
    both = None if asked is None or said is None else asked + said
    told = "stated" if stated.input_tokens is not None and stated.output_tokens is not None else plan
    keep("tokens", (0.0 if free else None, none), (both, told))
    keep("money", *_money(stated, asked, said, amounts["seconds"], given.hour))
    return Cost(amounts, how)


def _money(
    stated: Stated, asked: float | None, said: float | None, seconds: float | None, hour: float | None
) -> list[tuple[float | None, str]]:
    """What is stated; else tokens by their price; else seconds by the machine's."""
    by_tokens = None
    if None not in (stated.input_price, stated.output_price) and asked is not None and said is not None:
        by_tokens = (asked * (stated.input_price or 0.0) + said * (stated.output_price or 0.0)) / MILLION
    price = stated.hour if stated.hour is not None else hour
    by_time = None if price is None or seconds is None else price * seconds / 3600
    return [(stated.money, "stated"), (by_tokens, "tokens by their price"), (by_time, "seconds by the machine's price")]


def _planned(judge: str, given: Assumptions | None) -> _Planned | None:
    """The plan's estimate; None for a judge whose questions, or a model whose size, the plan does not know."""
    found, name = _BRACKET.search(judge), base_name(judge)
    if name not in PAPER or found is None:
        return None
    try:
        size = judge_size(found[1].partition(",")[0].strip())
    except UsageError:
        return None
    if (answers := _answers(found[1])) is None:
        return None
    given = given or read_settings(Assumptions, {}, where="assumptions")
    asked = [replace(one, calls=one.calls * answers) for one in questions([name], given)]
    # The GPU decides seconds, which are measured or stated, and not the work.
    gpu = next(iter(GPUS.values()))
    phases = [phase for question in asked for phase in question_phases(1, question, size, gpu, given)]
    return _Planned(
        flops=sum(phase.flops for phase in phases),
        input_tokens=sum(question.calls * question_tokens(question, size) for question in asked),
        output_tokens=sum(float(question.calls * question.answer) for question in asked),
    )


def _answers(inside: str) -> int | None:
    """How often a rubric judge asks, by what stands behind its model's name; None where no answer is written."""
    modes = [part.strip() for part in inside.split(",")[1:]]
    if "expected" in modes:
        return None
    return next((int(mode.removeprefix("mean of ")) for mode in modes if mode.startswith("mean of ")), 1)


def cascade_parts(judge: str, others: Mapping[str, Cost]) -> tuple[str, str] | None:
    """Cheap and strong of a cascade's name, where both are among the others."""
    pairs = ((cheap, strong) for cheap in others for strong in others)
    return next((pair for pair in pairs if judge.startswith(f"cascade[{pair[0]}, {pair[1]} from doubt ")), None)
