"""The tables of a GRPO configuration; each names where its option is computed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from gotr1_eval.settings import Component, Settings

# TOML has no null: "none" says it.
NoneWord = BeforeValidator(lambda value: None if value == "none" else value)
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fitted = PositiveInt | Literal["auto"]


class SamplingSettings(Settings):
    """How the policy is sampled. There is no top-k or top-p: tokens cut off would have no log-probability to learn.

    Attributes:
        tile: samples made together; `auto` takes what fits into the GPU's free memory, see `training.fitting`.
    """

    guidance: NonNegative = 5.0
    text_temperature: PositiveFloat = 1.0
    image_temperature: PositiveFloat = 1.0
    chain_cap: PositiveInt = 600
    tile: Fitted = "auto"


class EvaluationSettings(Settings):
    """The held-out evaluation: so many val prompts of each category, so many samples each, always the same seeds.

    Before the first step, every `every` steps, and after the last. How different the samples of a prompt are needs two.
    """

    every: PositiveInt = 25
    suite: Component = Field(default_factory=lambda: {"use": "shapes"})
    prompts_per_category: PositiveInt = 20
    samples_per_prompt: PositiveInt = 1


class SampleTableSettings(Settings):
    """A table of a step's samples in the trackers, every so many steps; see `training.sample_table`.

    Attributes:
        rows: of the first process's samples, so many at most.
    """

    every: PositiveInt = 25
    rows: PositiveInt = 8


class ClipSettings(Settings):
    """The ratio new/old is held in [1 - low, 1 + high]."""

    low: Annotated[float, Field(gt=0, lt=1)] = 0.2
    high: PositiveFloat = 0.2
    two_sided: Annotated[PositiveFloat | None, NoneWord] = None

    @model_validator(mode="after")
    def _beyond_the_clip(self) -> ClipSettings:
        if self.two_sided is not None and self.two_sided <= 1 + self.high:
            raise ValueError(f"two_sided = {self.two_sided}: expected more than 1 + high = {1 + self.high}")
        return self


class ImportanceSettings(Settings):
    """Weights p(trainer) / p(sampler), which round differently, or are a step apart; see `training.loss`.

    Attributes:
        form: `auto` is `token`; `none` where there is nothing to weigh, since all is float32 and of the same step.
        cap: the highest weight; "none" for no bound.
    """

    form: Literal["auto", "token", "sequence", "none"] = "auto"
    cap: Annotated[PositiveFloat | None, NoneWord] = 2.0


class GdpoSettings(Settings):
    """Advantages of each judge apart; see `training.advantage.decoupled_advantages`.

    Attributes:
        weights: of the judges, by the names of the reward set; 1 of those that are not named.
        missing: what becomes of a sample that one of its judges could not score.
    """

    weights: dict[str, PositiveFloat] = Field(default_factory=dict)
    missing: Literal["leave_out", "average"] = "leave_out"


class TruncationSettings(Settings):
    """What becomes of chains that hit the cap, or come near.

    Attributes:
        learn: false leaves truncated samples out of the loss (DAPO's overlong filtering, arXiv 2503.14476, section
            3.4); they still count in their group's mean.
        soft: within so many tokens of the cap a chain's reward falls, by `penalty` at the cap; 0 punishes none.
    """

    learn: bool = True
    soft: Annotated[int, Field(ge=0)] = 0
    penalty: PositiveFloat = 1.0


class ReferenceSettings(Settings):
    """A reference that follows the policy; without this table it stays where the policy started.

    Attributes:
        every: so many steps it takes over `mix` of the policy's weights: reference + mix * (policy - reference).
        mix: 1 replaces it (ProRL's reset, arXiv 2505.24864, section 2.3; TR-DPO's hard update, arXiv 2404.09656,
            section 3), less than 1 is TR-DPO's soft update, with `every = 1` an exponential moving average. Of adapters
            it is their factors that are mixed.
    """

    every: PositiveInt
    mix: Annotated[float, Field(gt=0, le=1)] = 1.0
