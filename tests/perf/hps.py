"""HPS side by side: our batched way against HPSv2's way, on the same tiny random weights, in one run.

HPSv2's `score` reads the checkpoint from disk on every call, and in it passes one picture at a time through the model,
with the prompt tokenised and embedded anew for each. Only ratios of one run say anything: run

    OMP_NUM_THREADS=1 python -m tests.perf.hps --prompts 8 --images 4 --width 64 --layers 2
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import open_picture
from gotr1_eval.models.encoders._clip_text import load_tokenizer, token_ids
from gotr1_eval.models.encoders.hps import HpsEncoder, Settings, fit_and_pad
from rewards.cosine import CosineJudge
from tests.tiny_clip import OpenClip, random_open_clip, write_tokenizer

VOCABULARY = 49408
Scores = list[float]


class ReferenceWay:
    """What HPSv2 does, with our preparation of pictures and texts, so that only the way differs."""

    def __init__(self, checkpoint: Path, sizes: dict[str, int], *, reload: bool) -> None:
        self.checkpoint, self.reload = checkpoint, reload
        self.model = OpenClip(**sizes).eval()
        self.tokenizer = load_tokenizer(checkpoint.parent)
        self._load()

    def _load(self) -> None:
        self.model.load_state_dict(torch.load(self.checkpoint, weights_only=True)["state_dict"])

    def __call__(self, samples: Sequence[Sample]) -> Scores:
        prompts = list(dict.fromkeys(sample.prompt for sample in samples))
        return [
            score
            for prompt in prompts
            for score in self._score(prompt, [sample.image for sample in samples if sample.prompt == prompt])
        ]

    @torch.inference_mode()
    def _score(self, prompt: str, images: Sequence[Path | None]) -> Scores:
        if self.reload:
            self._load()
        scores = []
        for image in images:
            assert image is not None
            picture = self.model.visual(fit_and_pad(open_picture(image), 224)[None])
            text = self.model.encode_text(token_ids(self.tokenizer, [prompt], 77))
            scores.append(float(torch.nn.functional.cosine_similarity(picture, text)))
        return scores


class OurWay:
    """The aesthetic judge; `kept` says whether the model was loaded before."""

    def __init__(self, checkpoint: Path, batch_size: int, *, kept: bool) -> None:
        self.settings = Settings(weights=str(checkpoint), image_heads=4, text_heads=2, batch_size=batch_size)
        self.kept = CosineJudge("aesthetic", HpsEncoder(self.settings)) if kept else None

    def __call__(self, samples: Sequence[Sample]) -> Scores:
        judge = self.kept or CosineJudge("aesthetic", HpsEncoder(self.settings))
        return [outcome.value for outcome in judge.judge(samples) if isinstance(outcome, Score)]


def write_samples(folder: Path, prompts: int, images: int) -> list[Sample]:
    noise = np.random.default_rng(0)
    samples = []
    for index in range(prompts * images):
        path = folder / f"{index}.png"
        Image.fromarray(noise.integers(0, 256, (384, 384, 3), dtype=np.uint8)).save(path)
        samples.append(Sample(id=str(index), prompt=f"prompt number {index // images} of a red bench", image=path))
    return samples


def measure(
    ways: dict[str, Callable[[Sequence[Sample]], Scores]], samples: list[Sample], rounds: int
) -> dict[str, float]:
    """Median seconds of each way, taken in turns after one round that does not count; all must score alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        found: dict[str, Scores] = {}
        for name, way in ways.items():
            before = time.perf_counter()
            found[name] = way(samples)
            if turn:
                seconds[name].append(time.perf_counter() - before)
        first = next(iter(found.values()))
        assert all(np.allclose(scores, first, atol=1e-5) for scores in found.values())
    return {name: median(times) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option, default in (("prompts", 8), ("images", 4), ("width", 64), ("layers", 2), ("rounds", 5)):
        parser.add_argument(f"--{option}", type=int, default=default)
    asked: Any = parser.parse_args()
    sizes = {
        "side": 224, "patch": 32, "image_width": asked.width, "text_width": asked.width // 2, "layers": asked.layers,
        "common": asked.width // 2, "vocabulary": VOCABULARY,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_tokenizer(folder, markers=(VOCABULARY - 2, VOCABULARY - 1))
        checkpoint = folder / "tiny.pt"
        torch.save({"state_dict": random_open_clip(**sizes).state_dict()}, checkpoint)
        ways: dict[str, Callable[[Sequence[Sample]], Scores]] = {
            "the reference's way": ReferenceWay(checkpoint, sizes, reload=True),
            "the reference's way, checkpoint kept": ReferenceWay(checkpoint, sizes, reload=False),
            "ours, loading included": OurWay(checkpoint, 32, kept=False),
            "ours, one input a batch": OurWay(checkpoint, 1, kept=True),
            "ours": OurWay(checkpoint, 32, kept=True),
        }
        seconds = measure(ways, write_samples(folder, asked.prompts, asked.images), asked.rounds)
        print(
            f"{asked.prompts} prompts x {asked.images} images, width {asked.width}, {asked.layers} layers a tower, ",
            end="",
        )
        print(f"checkpoint of {checkpoint.stat().st_size / 2**20:.0f} MiB, {torch.get_num_threads()} threads\n")
    print("| way | time, ours = 1 |\n|---|---|")
    for name, time_taken in seconds.items():
        print(f"| {name} | {time_taken / seconds['ours']:.1f} |")


if __name__ == "__main__":
    main()
