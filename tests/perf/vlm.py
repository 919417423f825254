"""How much batching, choices and sharing save, as ratios measured in one run: ``python -m tests.perf.vlm``.

The checkpoint is tiny and random, the machine whatever it is: the ratios and the counts of tokens mean something, the
seconds do not. Every number is the best of five runs after one that is not counted.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gotr1_eval.core.protocols import Request
from gotr1_eval.models.vlms.qwen import QwenVlm, Settings
from tests.tiny_vlms import save_tiny_qwen

RUBRIC = "Judge how well the picture shows what the prompt asks for. Answer in JSON with a score of 0 to 10. " * 3
QUESTIONS = ("Is everything there?", "Does anything contradict?", "Is the relation right?", "Is it clear?")
SCORES = tuple(str(number) for number in range(11))
PICTURES = 4
ANSWER_TOKENS = 24


Way = tuple[str, Callable[[], QwenVlm], Sequence[Request]]


def pictures() -> list[Image.Image]:
    """Noise of 384 x 384 pixels: 196 tokens each."""
    noise = np.random.default_rng(0)
    return [Image.fromarray(noise.integers(0, 255, (384, 384, 3), dtype=np.uint8)) for _ in range(PICTURES)]


def requests(*, choices: bool = False, max_tokens: int = ANSWER_TOKENS, seen: bool = True) -> list[Request]:
    """Four questions about each of four pictures, which share picture and rubric."""
    return [
        Request(
            prompt=f"{RUBRIC}{question}",
            images=(image,) if seen else (),
            max_tokens=max_tokens,
            choices=SCORES if choices else (),
            answer_prefix='{"score": ' if choices else "",
        )
        for image in pictures()
        for question in QUESTIONS
    ]


def rates(*ways: Way, rounds: int = 6) -> list[float]:
    """Requests a second of each way, best of all rounds but the first; the ways take turns, to share disturbances."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for taken, (_, build, asked) in zip(seconds, ways, strict=True):
            vlm = build()
            vlm.loaded  # noqa: B018 - reads the checkpoint, which is not what is measured
            begun = time.perf_counter()
            vlm.reply(asked)
            taken.append(time.perf_counter() - begun)
    return [len(asked) / min(taken[1:]) for taken, (_, _, asked) in zip(seconds, ways, strict=True)]


def compare(what: str, slow: Way, fast: Way) -> str:
    """A row of the table."""
    before, after = rates(slow, fast)
    return f"| {what} | {slow[0]}: {before:.1f} | {fast[0]}: {after:.1f} | {after / before:.1f}x |"


def measure(folder: Path) -> list[str]:
    """The table's rows."""

    def built(**settings: object) -> Callable[[], QwenVlm]:
        return lambda: QwenVlm(Settings.model_validate({"model": str(folder), "batch_size": 16, **settings}))

    apart, text, one = {"share_beginnings": False}, requests(seen=False), requests(max_tokens=1)
    scored = requests(choices=True, seen=False)
    every, once = "for every question", "once"
    return [
        compare(
            "batching, text only, 24 tokens decoded",
            ("one at a time", built(batch_size=1, **apart), text),
            ("16 at a time", built(**apart), text),
        ),
        compare(
            "generate or choices, text only", ("24 tokens decoded", built(), text), ("11 choices", built(), scored)
        ),
        compare("picture encoded, 4 questions each", (every, built(pictures_kept=0), one), (once, built(), one)),
        compare("picture and rubric read, 4 questions each", (every, built(**apart), one), (once, built(), one)),
    ]


def count_tokens(folder: Path) -> tuple[int, int]:
    """Tokens that the language model reads for the 16 questions, beginnings read for each question and once."""
    counts = []
    for share in (False, True):
        vlm = QwenVlm(Settings(model=str(folder), batch_size=16, share_beginnings=share))
        read: list[int] = []
        vlm.loaded.model.register_forward_pre_hook(
            lambda _, __, given, read=read: read.append(int(given["input_ids"].numel())), with_kwargs=True
        )
        vlm.reply(requests(max_tokens=1))
        counts.append(sum(read))
    return counts[0], counts[1]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = save_tiny_qwen(Path(folder))
        print("| what | without (requests/s) | with (requests/s) | ratio |\n|---|---|---|---|")
        for line in measure(path):
            print(line)
        every, once = count_tokens(path)
        print(f"| tokens read for 16 questions | for every question: {every} | once: {once} | {every / once:.1f}x |")
        print(f"| tokens decoded a judgment | generate: up to {ANSWER_TOKENS} here | choices: 0 | |")


if __name__ == "__main__":
    main()
