"""What a run will take, before it is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gotr1_eval.core.protocols import Foreseeing, TokenBudget
from gotr1_eval.core.types import AskedCalls, Json, Sample
from rewards.reward_set import RewardSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Counts of a planned run.

    Attributes:
        chain_tokens_at_most: over all samples, were every chain to reach its cap; None without a generator.
        image_tokens: over all samples, exact; guidance doubles the rows but not this count.
        judgments: samples times judges (totals ask nobody and are not counted).
        model_calls: how many questions go to a language-vision model.
        question_characters: of the texts of those questions, by judges that foresee them; pictures aside.
        answer_tokens_at_most: of the answers to them, were each to reach its cap.
    """

    prompts: int
    images: int
    chain_tokens_at_most: int | None
    image_tokens: int | None
    judgments: int
    model_calls: int
    question_characters: int = 0
    answer_tokens_at_most: int = 0

    def json(self) -> dict[str, Json]:
        """The counts as JSON values."""
        return asdict(self)


def estimate(plan: Sequence[Sample], budget: TokenBudget | None, rewards: RewardSet) -> Estimate:
    """The counts of a plan.

    Args:
        budget: the generator's tokens a sample; None when the pictures exist already.
    """
    judges = rewards.judges.values()
    plain = [judge for judge in judges if not isinstance(judge, Foreseeing)]
    foreseen = sum(
        (judge.calls(sample) for judge in judges if isinstance(judge, Foreseeing) for sample in plan), AskedCalls()
    )
    return Estimate(
        prompts=len({sample.id.rpartition("/")[0] for sample in plan}),
        images=len(plan),
        chain_tokens_at_most=None if budget is None else budget.chain_at_most * len(plan),
        image_tokens=None if budget is None else budget.image * len(plan),
        judgments=len(plan) * len(rewards.judges),
        model_calls=foreseen.calls + len(plan) * sum(judge.model_calls for judge in plain),
        question_characters=foreseen.characters,
        answer_tokens_at_most=foreseen.answer_tokens_at_most,
    )
