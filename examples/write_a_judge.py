"""Write a judge: anything with these seven facts and a method `judge` is one.

It can be used at once, as here; put into a file with a function `build`, it has a name on the command line as well
(CONTRIBUTING.md shows how).
"""

from collections.abc import Sequence

from PIL import Image, ImageStat

from gotr1_eval import Sample, Score, score_samples
from gotr1_eval.core.outcome import Outcome, Unscored
from gotr1_eval.core.protocols import LooksAt
from rewards.inputs import require_picture


class BrightnessJudge:
    """How light is the picture? 0 is black, 1 is white."""

    name = "brightness"
    range = (0.0, 1.0)
    fingerprint = "brightness-1"  # raise the number whenever a score could change
    may_not_apply = False
    looks_at: LooksAt = "picture"
    needs = frozenset[str]()
    model_calls = 0

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        return [self._judge(sample) for sample in samples]

    def _judge(self, sample: Sample) -> Outcome:
        picture = require_picture(sample)
        if isinstance(picture, Unscored):
            return picture  # never 0: a picture that is not there is not a dark one
        return Score(value=ImageStat.Stat(picture.convert("L")).mean[0] / 255)


samples = [
    Sample(id="grey", prompt="a grey wall", image=Image.new("RGB", (8, 8), (128, 128, 128))),
    Sample(id="none", prompt="a wall that nobody painted"),
]
for sample, outcome in zip(samples, score_samples(samples, [BrightnessJudge()])["brightness"], strict=True):
    print(f"{sample.id}: {outcome.value:.3f}" if isinstance(outcome, Score) else f"{sample.id}: {outcome.detail}")
