"""Run folders written by hand for the tests of pages: any samples, any outcomes, no model."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.types import Box, Detection, Sample
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import RunInfo, RunStore

Judges = Mapping[str, Callable[[Sample], Outcome]]
"""Factor -> what its judge says; the judge is called ``judge[<factor>]``."""
CATEGORIES = ("color", "spatial", "numeracy")


def write_run(
    folder: Path,
    samples: Sequence[Sample],
    judges: Judges,
    suite: str = "pictures",
    name: Callable[[str], str] = "judge[{}]".format,
) -> Path:
    """A finished run of these samples and judges; `name` calls a factor's judge."""
    expected = Counter(str(sample.meta["category"]) for sample in samples)
    setup = {
        "generator": "painter",
        "judges": [
            {"factor": factor, "name": name(factor), "fingerprint": f"{factor}-1", "range": [0.0, 1.0]}
            for factor in judges
        ],
        "expected": dict(expected),
        "command": f"compbench --suite {suite}",
        "versions": {"python": "3.11"},
    }
    with RunStore.open(folder, RunInfo(identity={"suite": suite, "seed": 0}, setup=setup)) as store:
        store.append_samples(samples)
        store.append_judgments(
            Judgment(sample=sample.id, judge=name(factor), fingerprint=f"{factor}-1", outcome=judge(sample))
            for factor, judge in judges.items()
            for sample in samples
        )
    return folder


def varied_run(folder: Path, prompts: int = 40, images: int = 2, side: int = 64) -> Path:
    """A run with everything a gallery sorts and filters by: spread scores, unscored ones, defects, found boxes."""
    draw = random.Random(0)
    pictures = folder.parent / f"{folder.name}-pictures"
    pictures.mkdir(parents=True)
    samples = [_sample(draw, pictures, prompt, image, side) for prompt in range(prompts) for image in range(images)]
    values = {sample.id: draw.random() for sample in samples}
    return write_run(
        folder,
        samples,
        {
            "semantic": lambda sample: _asked(sample, values[sample.id]),
            "reasoning_image": lambda sample: _grounded(sample, values[sample.id] ** 2),
            "total": lambda sample: _total(sample, values[sample.id] ** 3),
        },
    )


def number(sample: Sample) -> int:
    """The place of the sample's prompt in the list."""
    return int(sample.id.split("/")[2])


def _sample(draw: random.Random, pictures: Path, prompt: int, image: int, side: int) -> Sample:
    category = CATEGORIES[prompt % len(CATEGORIES)]
    boxes = [Box.clipped(x, y, x + 0.3, y + 0.3) for x, y in ((draw.random(), draw.random()) for _ in range(2))]
    chain = write_chain([("red cat", boxes[0]), (f"dog {prompt}", boxes[1])])
    if prompt % 5 == 0:
        chain = re.sub(r"\(\d+,", "(", chain, count=1)
    chain = "Well then. " * draw.randrange(5) + chain
    path = pictures / f"{prompt}-{image}.png"
    canvas = Image.new("RGB", (side, side), (draw.randrange(256), draw.randrange(256), draw.randrange(256)))
    pen = ImageDraw.Draw(canvas)
    for box in boxes:
        pen.ellipse([round(value * side) for value in box.corners], fill=(draw.randrange(256), 90, 60))
    canvas.save(path)
    return Sample(
        id=f"pictures/{category}/{prompt:05d}/{image}",
        prompt=f"a red cat and dog {prompt}",
        chain=chain,
        image=path,
        seed=draw.randrange(2**63),
        meta={"category": category},
    )


def _asked(sample: Sample, value: float) -> Outcome:
    reply = Reply(text=f'{{"score": {value:.3f}}} because of {sample.prompt}', model="asked", finish="stop")
    if number(sample) % 10 == 3:
        return Unscored(why=Why.UNREADABLE, detail="no number in the reply", replies=(reply,))
    return Score(value=value, parts={"completeness": 10 * value}, note="a note", replies=(reply,))


def _grounded(sample: Sample, value: float) -> Outcome:
    found = (Detection("red cat", Box(0.1, 0.1, 0.5, 0.6), 0.9), Detection("lamp", Box(0.6, 0.2, 0.9, 0.4), 0.5))
    return Score(value=value, parts={"1: red cat": value}, seen=found)


def _total(sample: Sample, value: float) -> Outcome:
    if number(sample) % 10 == 3:
        return Unscored(why=Why.UNREADABLE, detail="factor semantic is unscored")
    return Score(value=value)
