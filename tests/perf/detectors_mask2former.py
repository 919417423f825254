"""Mask2Former on the CPU: reading the logits against mmdet's way, and seconds and memory for whole pictures.

Each way runs in a process of its own, whose peak of resident memory is set back before and read after. Run

    OMP_NUM_THREADS=1 python -m tests.perf.detectors_mask2former [--side 1024] [--rounds 5] [--pictures 8]
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers import Mask2FormerForUniversalSegmentation

from gotr1_eval.models.detectors._mask2former_masks import read_instances, tight_box
from gotr1_eval.models.detectors._mask2former_openmmlab import swin_small
from gotr1_eval.models.detectors._mask2former_pictures import Frame, frame_of
from gotr1_eval.models.detectors.mask2former import Mask2FormerDetector, Settings

Answers = list[tuple[int, float, tuple[int, int, int, int]]]
ABOVE = 0.3


def resident(field: str) -> float:
    """MiB of `VmRSS` (now) or `VmHWM` (the peak)."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024


def measure(work: Callable[[], Any], rounds: int) -> tuple[float, float, Any]:
    """Median seconds, the peak of memory above what was there before (MiB), and the result of the last round.

    Memory is of the first round: later ones find what the first one freed.
    """
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
    before = resident("VmRSS")
    result = work()
    memory = resident("VmHWM") - before
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return median(seconds), memory, result


def some_logits(sure: int, frame: Frame) -> tuple[torch.Tensor, torch.Tensor]:
    """Of 100 queries so many are sure of a thing and of its outline; the others are sure of nothing."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.randn(100, 81, generator=generator)
    classes[:, -1] += 12
    classes[torch.arange(sure), torch.arange(sure) % 80] += 24
    coarse = torch.randn(100, 1, 6, 6, generator=generator)
    size = (frame.padded[1] // 4, frame.padded[0] // 4)
    return classes, 5 * interpolate(coarse, size, mode="bilinear")[:, 0]


def all_first(classes: torch.Tensor, masks: torch.Tensor, frame: Frame) -> Answers:
    """mmdet's way: every row's mask to the picture's size, then scores, then the threshold."""
    chances, pairs = classes.softmax(-1)[:, :-1].flatten().topk(100)
    full = interpolate(masks[None], frame.padded[::-1], mode="bilinear")[0]
    full = full[:, : frame.resized[1], : frame.resized[0]]
    full = interpolate(full[None], frame.picture[::-1], mode="bilinear")[0][pairs // 80]
    inside = (full > 0).float()
    quality = (full.sigmoid() * inside).flatten(1).sum(1) / (inside.flatten(1).sum(1) + 1e-6)
    boxes = [tight_box(mask) for mask in inside.bool().numpy()]
    scores = chances * quality
    return [
        (int(pair) % 80, float(score), box)
        for pair, score, box in zip(pairs, scores, boxes, strict=True)
        if score > ABOVE
    ]


def passing_only(classes: torch.Tensor, masks: torch.Tensor, frame: Frame) -> Answers:
    rows = read_instances(classes, masks, frame, above=ABOVE)
    return [(row.place, row.score, row.box) for row in rows]


def read_logits(way: str, sure: int, side: int, rounds: int) -> tuple[float, float, Answers]:
    frame = frame_of((side, side))
    classes, masks = some_logits(sure, frame)
    read = {"all 100 first": all_first, "ours": passing_only}[way]
    with torch.inference_mode():
        return measure(lambda: read(classes, masks, frame), rounds)


def detect(batch_size: int, side: int, pictures: int) -> tuple[float, float]:
    """Seconds a picture and the peak above the loaded model, with random weights of the official sizes."""
    torch.manual_seed(0)
    detector = Mask2FormerDetector(Settings(batch_size=batch_size, device="cpu"))
    detector.loaded = Mask2FormerForUniversalSegmentation(swin_small()).eval()  # what loading would put there
    levels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    images = [Image.fromarray(levels)] * pictures
    Path("/proc/self/clear_refs").write_text("5")
    before, start = resident("VmRSS"), time.perf_counter()
    detector.detect(images)
    return (time.perf_counter() - start) / pictures, resident("VmHWM") - before


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option, default in (("side", 1024), ("rounds", 5), ("pictures", 8)):
        parser.add_argument(f"--{option}", type=int, default=default)
    asked = parser.parse_args()
    print(f"pictures of {asked.side}x{asked.side}, {torch.get_num_threads()} threads\n")
    print("| sure queries | found | time, all 100 first / ours | memory, all 100 first / ours | ours, MiB |")
    print("|---|---|---|---|---|")
    for sure in (0, 5, 10, 25, 100):
        theirs, ours = (
            apart(read_logits, way, sure, asked.side, asked.rounds) for way in ("all 100 first", "ours")
        )  # fmt: skip
        assert len(theirs[2]) == len(ours[2])
        for one, other in zip(theirs[2], ours[2], strict=True):
            assert (one[0], one[2]) == (other[0], other[2])
            assert abs(one[1] - other[1]) < 1e-5
        memory = f"{theirs[1] / ours[1]:.1f}" if ours[1] > 1 else "-"
        print(f"| {sure} | {len(ours[2])} | {theirs[0] / ours[0]:.1f} | {memory} | {ours[1]:.0f} |", flush=True)
    print("\n| pictures a batch | seconds a picture | peak above the model, MiB |\n|---|---|---|")
    for batch_size in (1, 8):
        seconds, peak = apart(detect, batch_size, asked.side, max(asked.pictures, batch_size))
        print(f"| {batch_size} | {seconds:.1f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
