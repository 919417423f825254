"""UniDet on the CPU: seconds and memory for whole pictures, and RoIAlign and suppression against plain loops.

Whole pictures run in a process of their own, whose peak of resident memory is set back before and read after. Run

    OMP_NUM_THREADS=1 python -m tests.perf.detectors_unidet [--sizes r50 rs200] [--rounds 5]
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

from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES
from gotr1_eval.models.detectors.unidet.boxes import suppress
from gotr1_eval.models.detectors.unidet.cascade import roi_align
from gotr1_eval.models.detectors.unidet.detector import Files, UniDetDetector
from gotr1_eval.models.detectors.unidet.network import UniDet
from tests.unit.test_unidet_boxes import plain_roi_align, plain_suppress


def resident(field: str) -> float:
    """MiB of `VmRSS` (now) or `VmHWM` (the peak)."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024


def random_network(size: str) -> UniDet:
    """Random weights that keep every layer's numbers near one, so that a thousand proposals reach the cascade.

    Classes are unlikely, as in a real picture: of a network that is sure of everything 722,000 pairs would be compared.
    """
    torch.manual_seed(0)
    network = UniDet(ARCHITECTURES[size]).eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if tensor.dim() == 1:
            scales = name.endswith(("norm.weight", "bn0.weight", "bn1.weight", "running_var"))
            tensor.fill_(1.0 if scales else -6.0 if "cls_score" in name else 0.0)
        else:
            gain = 0.02 if "stem.conv1.weight" in name else 0.3 if "deltas" in name or "bbox" in name else 1.0
            tensor.normal_(std=gain / tensor[0].numel() ** 0.5)
    return network


def detect(size: str, batch_size: int, pictures: int) -> tuple[float, float, int]:
    """Seconds a picture, the peak above the loaded model in MiB, and how much was found."""
    nowhere = Files(Path(), Path())
    finder = UniDetDetector(size, nowhere, semantics="reference", half=False, device="cpu", batch_size=batch_size)
    finder.loaded = random_network(size)  # what loading would put there
    levels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    images = [Image.fromarray(levels)] * pictures
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
    before, start = resident("VmRSS"), time.perf_counter()
    found = finder.find(images)
    return (time.perf_counter() - start) / pictures, resident("VmHWM") - before, len(found[0].scores)


def seconds(work: Callable[[], Any], rounds: int) -> float:
    """The median, after a round that does not count."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times[1:])


def random_boxes(count: int, side: float) -> torch.Tensor:
    corners = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(1)) * side
    return torch.cat([corners.amin(1), corners.amax(1)], dim=1)


def compare_roi_align(boxes: int, rounds: int) -> float:
    """Time of the plain loop as a multiple of ours; both must agree."""
    cells, given = torch.randn(256, 60, 60), random_boxes(boxes, 112)
    plain = np.stack([plain_roi_align(cells.numpy(), box, 1 / 8) for box in given.numpy()])
    assert np.allclose(roi_align(cells, given, 1 / 8).numpy(), plain, atol=1e-3)
    theirs = seconds(lambda: [plain_roi_align(cells.numpy(), box, 1 / 8) for box in given.numpy()], 1)
    return theirs / seconds(lambda: roi_align(cells, given, 1 / 8), rounds)


def compare_suppression(boxes: int, kinds: int, rounds: int) -> float:
    """Time of the plain loop as a multiple of ours; both must keep the same boxes."""
    given, scores = random_boxes(boxes, 480), torch.rand(boxes)
    groups = torch.randint(0, kinds, (boxes,))
    plain: Callable[[], list[int]] = lambda: plain_suppress(given.numpy(), scores.numpy(), groups.numpy(), 0.7)  # noqa: E731
    assert suppress(given, scores, groups, 0.7).tolist() == plain()
    return seconds(plain, 1) / seconds(lambda: suppress(given, scores, groups, 0.7), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="*", default=list(ARCHITECTURES), choices=list(ARCHITECTURES))
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(f"{torch.get_num_threads()} threads\n\n| operation | plain loop / ours |\n|---|---|")
    print(f"| RoIAlign, 1000 boxes, 256 channels | {compare_roi_align(1000, asked.rounds):.0f} |", flush=True)
    for boxes, kinds in ((1000, 1), (1000, 100)):
        ratio = compare_suppression(boxes, kinds, asked.rounds)
        print(f"| suppression, {boxes} boxes of {kinds} kinds | {ratio:.0f} |", flush=True)
    print(
        "\n| size | pictures a batch | seconds a picture | peak above the model, MiB | found |\n|---|---|---|---|---|"
    )
    for size in asked.sizes:
        for batch_size in (1, 8):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                taken, peak, count = pool.apply(detect, (size, batch_size, max(batch_size, 3)))
            print(f"| {size} | {batch_size} | {taken:.1f} | {peak:.0f} | {count} |", flush=True)


if __name__ == "__main__":
    main()
