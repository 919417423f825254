"""What a judge, a model, a benchmark and a generator must offer. Implementations inherit nothing from here.

Everything works on batches: as many answers as inputs, in the same order.
"""

from gotr1_eval.core.protocols.generators import (
    ABILITIES,
    UNREAD,
    Generated,
    Generator,
    Independent,
    PlansMemory,
    TokenBudget,
)
from gotr1_eval.core.protocols.judges import (
    READS_CHAIN,
    READS_PICTURE,
    Foreseeing,
    Judge,
    LooksAt,
    Refusable,
    Remarking,
)
from gotr1_eval.core.protocols.suites import OfficialMetric, OfficialSummary, PictureLayout, Suite
from gotr1_eval.core.protocols.vision import (
    CutsTexts,
    Detector,
    Encoder,
    FileGrounder,
    Grounder,
    Grounding,
    Perceptual,
    RewardModel,
    Sees,
)
from gotr1_eval.core.protocols.vlms import (
    Answers,
    Asking,
    Constraining,
    FollowedAnswer,
    FollowsAnswers,
    HoldsVlm,
    Metered,
    Request,
    Served,
    Spent,
    Vlm,
)
from gotr1_eval.core.protocols.workshop import Workshop

__all__ = [
    "ABILITIES",
    "READS_CHAIN",
    "READS_PICTURE",
    "UNREAD",
    "Answers",
    "Asking",
    "Constraining",
    "CutsTexts",
    "Detector",
    "Encoder",
    "FileGrounder",
    "FollowedAnswer",
    "FollowsAnswers",
    "Foreseeing",
    "Generated",
    "Generator",
    "Grounder",
    "Grounding",
    "HoldsVlm",
    "Independent",
    "Judge",
    "LooksAt",
    "Metered",
    "OfficialMetric",
    "OfficialSummary",
    "Perceptual",
    "PictureLayout",
    "PlansMemory",
    "Refusable",
    "Remarking",
    "Request",
    "RewardModel",
    "Sees",
    "Served",
    "Spent",
    "Suite",
    "TokenBudget",
    "Vlm",
    "Workshop",
]
