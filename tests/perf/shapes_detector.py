"""How often the shapes detector is exactly right: on crisp drawings, after JPEG, and through picture tokens.

python -m tests.perf.shapes_detector [--scenes 1000]
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from PIL import Image

from gotr1_eval.core.geometry import iou
from gotr1_eval.shapes.detecting import find_objects
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import random_scene
from gotr1_eval.shapes.scene import Scene
from training.policies import Sampling
from training.policies.reading import read_policy

Alter = Callable[[list[Image.Image]], list[Image.Image]]


def jpeg(pictures: list[Image.Image]) -> list[Image.Image]:
    """Quality 50, Pillow's default subsampling."""
    return [Image.open(_saved(picture)) for picture in pictures]


def _saved(picture: Image.Image) -> io.BytesIO:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=50)
    return buffer


def through_tokens(ckpt: str, pictures: list[Image.Image]) -> list[Image.Image]:
    """Encoded to a checkpoint's picture tokens and decoded again, 16 at a time."""
    policy = read_policy(ckpt, "cpu", "float32", Sampling(guidance=1.0))
    encode, made = policy.picture_encoder(), list[Image.Image]()
    for start in range(0, len(pictures), 16):
        pixels_BHWC = torch.from_numpy(np.stack([np.asarray(each) for each in pictures[start : start + 16]]))
        made += [Image.fromarray(picture) for picture in policy.decode(encode(pixels_BHWC)).numpy()]
    return made


def shares(scenes: Sequence[Scene], pictures: Sequence[Image.Image]) -> tuple[float, float, int]:
    """(share of objects with the right label and IoU > 0.9, the same with IoU > 0.7, objects)."""
    strict = loose = total = 0
    for scene, picture in zip(scenes, pictures, strict=True):
        found = find_objects(picture)
        for placed in scene.objects:
            total += 1
            best = max((iou(box, placed.box) for kind, box, _ in found if kind == placed.kind), default=0.0)
            strict += best > 0.9
            loose += best > 0.7
    return strict / total, loose / total, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=1000)
    count = parser.parse_args().scenes
    rng = random.Random(11)
    scenes = [random_scene(rng, 1 + index % 6) for index in range(count)]
    print("| pictures | right, IoU > 0.9 | right, IoU > 0.7 | objects |\n|---|---|---|---|")
    ways: list[tuple[str, int, Alter]] = [
        ("64 px", 64, list),
        ("384 px", 384, list),
        ("64 px, JPEG 50", 64, jpeg),
        ("128 px, JPEG 50", 128, jpeg),
        ("64 px, through the tiny Janus's picture tokens", 64, partial(through_tokens, "tiny-janus")),
        ("64 px, through the tiny Emu3's picture tokens", 64, partial(through_tokens, "tiny-emu3")),
    ]
    for name, side, alter in ways:
        strict, loose, total = shares(scenes, alter([draw_scene(scene, side) for scene in scenes]))
        print(f"| {name} | {strict:.1%} | {loose:.1%} | {total} |")


if __name__ == "__main__":
    main()
