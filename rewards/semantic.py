"""R_sem: does the chain, read as text, say what the prompt asks for? (paper section 3.1)

The judge sees the prompt and the chain without its boxes. It gives four scores from 0 to 10 (completeness,
faithfulness, consistency, clarity); the value is their mean over 10. ``single = true`` is the paper's form, in which
the four are points of one rubric with one score.
"""

from __future__ import annotations

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.protocols import LooksAt, Vlm, Workshop
from gotr1_eval.core.types import Sample
from rewards.rubric import Material, RubricJudge, RubricSettings

DIMENSIONS = ("completeness", "faithfulness", "consistency", "clarity")


class Settings(RubricSettings):
    """One score for all dimensions, or one each."""

    single: bool = False


class SemanticJudge(RubricJudge):
    """Scores the words of a chain."""

    version = 2
    looks_at: LooksAt = "prose"
    lowest, highest = 0, 10
    markers = frozenset({"prompt", "chain"})

    def __init__(self, vlm: Vlm, settings: Settings) -> None:
        self.names = ("score",) if settings.single else DIMENSIONS
        self.label = "semantic_single" if settings.single else "semantic"
        # The question of the four allows decimals.
        self.marks = (
            ()
            if settings.single
            else tuple(half / 2 if half % 2 else half // 2 for half in range(2 * self.highest + 1))
        )
        super().__init__(vlm, settings, self.label)

    def material(self, sample: Sample) -> Material | Score | Unscored:
        """Prompt and prose; a chain without any prose earns a noted 0."""
        if sample.chain is None:
            return Unscored(why=Why.NO_INPUT, detail="the sample has no chain")
        prose = parse_chain(sample.chain).prose
        if not prose:
            return Score(value=0.0, note="the chain holds no text")
        return Material({"prompt": sample.prompt, "chain": prose})


def build(settings: Settings, workshop: Workshop) -> SemanticJudge:
    """The judge with its model."""
    return SemanticJudge(workshop.vlm(settings.vlm), settings)
