"""The settings of training runs: what a configuration file may say. Defaults are the paper's where it states them.

Of GRPO the paper (section 4) gives 1,000 steps, batch 8 (read as 8 prompts), 16 samples a prompt, learning rate 1e-5
cosine, LoRA r = alpha = 32, temperatures 1. It does not state beta, the clip ranges, the guidance while sampling, the
optimizer's other numbers, the layers LoRA adapts or the cap of a chain: those are our choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from gotr1_eval.settings import Component, Settings
from training.advantage import Scale
from training.credit import CreditForm
from training.loss import Objective
from training.policies import ImageLogProb, Sampling
from training.settings_tables import (
    ClipSettings,
    EvaluationSettings,
    Fitted,
    GdpoSettings,
    ImportanceSettings,
    NoneWord,
    NonNegative,
    ReferenceSettings,
    SampleTableSettings,
    SamplingSettings,
    TruncationSettings,
)

Share = Annotated[float, Field(ge=0, le=1)]
Tracker = Literal["tensorboard", "wandb", "mlflow", "aim", "comet_ml"]
Dtype = Literal["float32", "bfloat16"]
Target = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class LoraSettings(Settings):
    """Low-rank adapters on the language model's linear layers; everything else stays as it is."""

    rank: PositiveInt = 32
    alpha: PositiveInt = 32
    targets: tuple[Target, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class TrainSettings(Settings):
    """What both stages ask: which weights learn, and how much each segment counts.

    Attributes:
        text_weight, image_weight: of a token of the chain and of the picture.
        lora: "none" trains the language model, its heads and the image embeddings in full.
        dtype: of the weights. bfloat16 is for adapters, which stay in float32 themselves: of a whole model's small
            steps it would round most away.
        compute: of the products; as `dtype` where it is not named. bfloat16 over weights of float32 is autocast: the
            optimizer moves the float32 weights, the tensor cores see them rounded, and so does the sampler. What is
            called float32 is IEEE float32: TF32 is off.
    """

    text_weight: NonNegative = 1.0
    image_weight: NonNegative = 1.0
    lora: Annotated[LoraSettings | None, NoneWord] = None
    dtype: Dtype = "float32"
    compute: Dtype | None = None

    @property
    def autocast(self) -> bool:
        """Whether products are in bfloat16 over weights that are not."""
        return self.compute == "bfloat16" and self.dtype == "float32"

    @property
    def all_float32(self) -> bool:
        """Whether nothing is rounded to half precision."""
        return self.dtype == "float32" and not self.autocast

    @model_validator(mode="after")
    def _something_learns(self) -> TrainSettings:
        if self.compute == "float32" and self.dtype == "bfloat16":
            raise ValueError("compute = 'float32' with dtype = 'bfloat16': the weights are rounded already")
        if self.lora is None and self.dtype == "bfloat16":
            raise ValueError("dtype = 'bfloat16' needs adapters (lora): full training in it rounds its steps away")
        if self.text_weight == self.image_weight == 0:
            raise ValueError("text_weight and image_weight are both 0: nothing would be learned")
        return self


_ONE_SOURCE = (
    "give one of suite = '...' and file = '...' (shapes = [...] is short for the train prompts of the suite shapes)"
)


class PromptSource(Settings):
    """Where prompts come from: a benchmark suite, or a file of one's own.

    ``shapes = ["color"]`` is short for ``suite = "shapes"``, ``split = "train"`` and ``categories = ["color"]``; so is
    the name of any other suite that has a list of prompts to train on.

    Attributes:
        suite: by name, or a table of its settings; its prompts come with their facts.
        split: which of the suite's lists, where it has several.
        categories: of the suite; all of them for an empty list.
        data: where the suite's files are; None for those that `gotr1-eval data fetch` brought.
        file: a .txt (one prompt a line), or a table, whose columns beside ``prompt`` are the prompts' facts.
        share: of every step's prompts, in relation to the other sources' shares.
    """

    suite: Component | None = None
    split: str | None = None
    categories: tuple[str, ...] = ()
    data: Path | None = None
    file: Path | None = None
    share: PositiveFloat = 1.0

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, values: Any) -> Any:  # noqa: ANN401 (pydantic hands over whatever it was given)
        if not isinstance(values, Mapping):
            return values
        given = {key: value for key, value in values.items() if key in cls.model_fields or value is not None}
        short = [key for key in given if key not in cls.model_fields and isinstance(given[key], list | tuple)]
        if len(short) > 1 or (short and (given.get("suite") or given.get("file")) is not None):
            raise ValueError(_ONE_SOURCE)
        for suite in short:
            given |= {"suite": suite, "split": "train", "categories": given.pop(suite)}
        return given

    @model_validator(mode="after")
    def _one_source(self) -> PromptSource:
        if (self.suite is None) == (self.file is None):
            raise ValueError(_ONE_SOURCE)
        if self.suite is None and (self.split is not None or self.categories or self.data is not None):
            raise ValueError("split, categories and data are a suite's, and file = '...' names none")
        return self

    @property
    def suite_settings(self) -> dict[str, Any]:
        """The suite with what is said of it here; the suite tells if it has no such setting."""
        here = {"split": self.split, "data": None if self.data is None else str(self.data)}
        return {**(self.suite or {}), **{key: value for key, value in here.items() if value is not None}}


class ColumnSettings(Settings):
    """Names of the columns of supervised data; see `training.sft_data`.

    Attributes:
        coord: placeholders of the chain and the texts that take their places; "none" where chains have none.
    """

    prompt: str = "prompt"
    chain: str = "chain"
    coord: Annotated[str | None, NoneWord] = None
    image: str = "image"
    image_tokens: str = "image_tokens"


class SftSettings(TrainSettings):
    """A supervised run: one sequence of prompt, chain and picture (paper section 4: 70,000 steps on GoT data).

    Attributes:
        ckpt: where the model starts.
        data: tables, or one folder of examples that another run has made of them; see `training.sft_data`.
        micro_batch: sequences of one forward pass; `batch_size` is made of several.
        prompt_dropout: share of rows turned into the sampler's unconditional row.
        text_weight, image_weight: of the mean loss over the chains' tokens, and over the pictures'.
    """

    ckpt: str
    data: tuple[Path, ...] = Field(min_length=1)
    columns: ColumnSettings = ColumnSettings()
    steps: PositiveInt = 70_000
    batch_size: PositiveInt = 32
    micro_batch: PositiveInt = 8
    learning_rate: PositiveFloat = 1e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    weight_decay: NonNegative = 0.01
    prompt_dropout: Share = 0.1
    device: str = "auto"
    gradient_checkpointing: bool = False
    trackers: tuple[Tracker, ...] = ()
    save_every: PositiveInt = 1000
    keep: PositiveInt = 2
    seed: int = 0


class GrpoSettings(TrainSettings):
    """A whole run.

    Attributes:
        ckpt: where the policy starts.
        rewards: a reward set, or one judge; its headline is what is maximised.
        judge_model: of judges that ask one; as `--judge-model`.
        judge_while_generating: judges that ask a server begin as soon as what they read is there: those of the chain
            before its picture, the others while the next tile is sampled. The rewards are the same. Also as `overlap`.
        one_step_off: the next step's samples are made before this step is learned from, so that servers judge them
            meanwhile; see `training.collector`. Another algorithm: the policy learns from what it said a step ago.
        offload_judges: the judges' models in this process leave the policy's GPU while it samples and learns.
        watch: judges that are scored but never trained on: by name as in a reward set,
            ``watch = { layout = "geometric" }``, or a reward set, ``watch = "panel"``, without the members that the
            reward is made of; ``judge_model`` is theirs, too.
        samples_per_prompt, pictures_per_chain: a prompt's group has so many pictures; each has a chain of its own, or
            so many share one.
        credit: what chain and picture learn from, the `total` or each `segment` its own; see `training.credit`.
        updates: passes over a rollout.
        micro_batch: sequences of one forward pass of the update; `auto` as of `SamplingSettings.tile`.
        objective: `ppo`, `gspo` or `cispo`; see `training.loss`.
        loss: what is averaged: `tokens` of the step (DAPO's, arXiv 2503.14476, section 3.3), `sequences`, each the mean
            of its tokens (GRPO's, arXiv 2402.03300, section 4.1), or `constant`: a sum over a constant, the most tokens
            that a sequence can have (Dr. GRPO's, arXiv 2503.20783, section 3.2, meant with `scale = "none"`).
        denominator: what the loss is divided by counts what is learned from, or `all` that was sampled: then even and
            unscored groups make the step smaller, as in TRL and verl.
        importance: see `ImportanceSettings`.
        beta: weight of the KL to the reference; 0 computes none and keeps none, a choice of its own (DAPO, section 2.3,
            and Dr. GRPO leave it out, since a policy that reasons is meant to move away).
        kl: `sampled` estimates it from the sampled tokens, `corrected` with the gradient of what it estimates, `exact`
            is over the vocabulary; see `training.loss`.
        reference: see `ReferenceSettings`.
        text_entropy, image_entropy: bonus for the entropy of each token's distribution, in nats (PPO, arXiv 1707.06347,
            equation 9).
        text_clip, image_clip: apart, since guided log-ratios move `guidance` times as fast.
        scale, min_spread, gdpo: see `training.advantage`.
        refill: of groups that teach nothing, so many a step at most are made up for by groups of further prompts
            (dynamic sampling of DAPO, arXiv 2503.14476, section 3.2, with a bound).
        truncated: see `TruncationSettings`.
        trackers: besides metrics.jsonl; they need the extra `trackers`, or their own packages.
        sample_table: chains and pictures in the trackers; see `SampleTableSettings`.
        judge_patience: seconds that an unreachable judge is waited for and asked again, within one step.
        max_unscored: the run stops when a larger share of the last `window` steps' samples is unscored.
    """

    ckpt: str
    rewards: str
    prompts: tuple[PromptSource, ...] = Field(min_length=1)
    judge_model: str | None = None
    judge_while_generating: bool = False
    one_step_off: bool = False
    offload_judges: bool = False
    watch: str | dict[str, Component] = Field(default_factory=dict)
    sampling: SamplingSettings = SamplingSettings()
    steps: PositiveInt = 1000
    prompts_per_step: PositiveInt = 8
    samples_per_prompt: Annotated[int, Field(ge=2)] = 16
    pictures_per_chain: PositiveInt = 1
    credit: CreditForm = "total"
    updates: PositiveInt = 1
    micro_batch: Fitted = "auto"
    learning_rate: PositiveFloat = 1e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: NonNegative = 0.0
    max_grad_norm: PositiveFloat = 1.0
    objective: Objective = "ppo"
    loss: Literal["tokens", "sequences", "constant"] = "tokens"
    denominator: Literal["learned", "all"] = "learned"
    importance: ImportanceSettings = ImportanceSettings()
    beta: NonNegative = 0.01
    kl: Literal["sampled", "corrected", "exact"] = "sampled"
    reference: Annotated[ReferenceSettings | None, NoneWord] = None
    text_entropy: NonNegative = 0.0
    image_entropy: NonNegative = 0.0
    image_logprob: ImageLogProb = "guided"
    text_clip: ClipSettings = ClipSettings()
    image_clip: ClipSettings = ClipSettings()
    scale: Scale = "group"
    min_spread: NonNegative = 1e-3
    gdpo: Annotated[GdpoSettings | None, NoneWord] = None
    refill: Annotated[int, Field(ge=0)] = 0
    truncated: TruncationSettings = TruncationSettings()
    lora: Annotated[LoraSettings | None, NoneWord] = LoraSettings()
    device: str = "auto"
    gradient_checkpointing: bool = False
    evaluation: Annotated[EvaluationSettings | None, NoneWord] = EvaluationSettings()
    save_every: PositiveInt = 50
    keep: PositiveInt = 2
    trackers: tuple[Tracker, ...] = ()
    sample_table: Annotated[SampleTableSettings | None, NoneWord] = SampleTableSettings()
    judge_patience: NonNegative = 600.0
    max_unscored: Share = 0.5
    window: PositiveInt = 10
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _other_names(cls, values: Any) -> Any:  # noqa: ANN401 (pydantic hands over whatever it was given)
        """`overlap`, and the name of older versions; of several the one that was said last counts."""
        if not isinstance(values, Mapping):
            return values
        names = {"judge_while_generating", "overlap", "judge_while_painting"}
        return {"judge_while_generating" if name in names else name: value for name, value in values.items()}

    @model_validator(mode="after")
    def _fit_together(self) -> GrpoSettings:
        clips = {"text_clip": self.text_clip, "image_clip": self.image_clip}
        for name, clip in clips.items():
            if self.objective == "cispo" and clip.two_sided is not None:
                raise ValueError(f"{name}.two_sided with objective = 'cispo': its weights are bounded already")
        if self.reference is not None and self.beta == 0:
            raise ValueError("reference follows the policy, but beta = 0 reads none")
        if self.gdpo is not None and self.scale != "group":
            raise ValueError("gdpo divides by each group's spread and then by the step's: leave scale at 'group'")
        if self.gdpo is not None and self.truncated.soft:
            raise ValueError(
                "truncated.soft is taken from one reward, and gdpo has several: set truncated.learn = false"
            )
        if self.truncated.soft > self.sampling.chain_cap:
            raise ValueError(f"truncated.soft = {self.truncated.soft} is more than sampling.chain_cap")
        return self

    @model_validator(mode="after")
    def _a_step_old(self) -> GrpoSettings:
        if not self.one_step_off:
            return self
        if not self.judge_while_generating:
            raise ValueError(
                "one_step_off waits for judges while it samples: set judge_while_generating = true as well"
            )
        if self.importance.form == "none":
            raise ValueError("one_step_off with importance.form = 'none': older samples need their weights")
        if self.image_logprob == "conditional" and self.sampling.guidance > 1:
            raise ValueError(
                "one_step_off with image_logprob = 'conditional': guided image tokens would have no weights; "
                "use 'guided'"
            )
        return self

    @model_validator(mode="after")
    def _trees(self) -> GrpoSettings:
        pictures, samples = self.pictures_per_chain, self.samples_per_prompt
        if self.credit == "segment" and pictures < 2:
            raise ValueError("credit = 'segment' compares the pictures of a chain: set pictures_per_chain to 2 or more")
        if self.credit == "segment" and self.gdpo is not None:
            raise ValueError(
                "credit = 'segment' makes one reward a segment, and gdpo keeps the judges apart: choose one"
            )
        if pictures == 1:
            return self
        if samples % pictures or samples == pictures:
            raise ValueError(f"samples_per_prompt = {samples}: expected 2 or more chains of {pictures} pictures each")
        if self.sampling.tile != "auto" and self.sampling.tile < pictures:
            raise ValueError(f"sampling.tile = {self.sampling.tile}: expected a chain's {pictures} pictures at least")
        if self.loss != "tokens":
            raise ValueError(
                f"loss = {self.loss!r} counts sequences, and with pictures_per_chain several share a chain"
            )
        if self.importance.form == "sequence":
            raise ValueError("importance.form = 'sequence' with pictures_per_chain: several sequences share a chain")
        return self

    def with_fitted(self, tile: int, micro_batch: int) -> GrpoSettings:
        """The same with these numbers."""
        sampling = self.sampling.model_copy(update={"tile": tile})
        return self.model_copy(update={"micro_batch": micro_batch, "sampling": sampling})

    @property
    def importance_form(self) -> Literal["token", "sequence", "none"]:
        """The form of the importance weights that is meant."""
        if self.importance.form != "auto":
            return self.importance.form
        return "none" if self.all_float32 and not self.one_step_off else "token"

    @property
    def idle(self) -> list[str]:
        """A line for every setting that was chosen and does nothing beside the others."""
        usual = ClipSettings()
        once = {
            f"objective = {self.objective!r}": self.objective != "ppo",
            "text_clip": self.text_clip != usual,
            "image_clip": self.image_clip != usual,
        }
        found = [f"{name} does nothing with updates = 1: every ratio is 1" for name, chosen in once.items() if chosen]
        found = found if self.updates == 1 else []
        if self.beta == 0 and self.kl != "sampled":
            found.append(f"kl = {self.kl!r} does nothing with beta = 0")
        if self.importance_form == "none" and self.importance.cap != ImportanceSettings().cap:
            found.append("importance.cap does nothing: there are no weights (importance.form)")
        if not self.truncated.soft and self.truncated.penalty != TruncationSettings().penalty:
            found.append("truncated.penalty does nothing with truncated.soft = 0")
        return found

    @property
    def policy_sampling(self) -> Sampling:
        """How the policy samples, and so how it scores."""
        return Sampling(
            guidance=self.sampling.guidance,
            text_temperature=self.sampling.text_temperature,
            image_temperature=self.sampling.image_temperature,
            image_logprob=self.image_logprob,
            entropy_gradient=self.text_entropy > 0 or self.image_entropy > 0,
        )
