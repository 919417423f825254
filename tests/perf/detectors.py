"""UniDet on the processor, and its RoIAlign and suppression against plain loops; prints Markdown tables.

    python -m tests.perf.detectors [--size r50] [--rounds 2]

Weights are random, so the proposals are as many as ever and the detections few. Peak memory is that of the process.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable
from multiprocessing import get_context

import numpy as np
import torch

from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES
from gotr1_eval.models.detectors.unidet.network import UniDet
from gotr1_eval.models.detectors.unidet.roi_align import roi_align
from gotr1_eval.models.detectors.unidet.suppression import suppress
from tests.unit.test_unidet import plain_roi_align, plain_suppress, random_boxes


def best(run: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round, after one that does not count."""
    found = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found[1:])


def network(size: str, batch: int, rounds: int) -> tuple[float, float]:
    """(seconds a picture of 512x512, peak MiB) in a process of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = UniDet(ARCHITECTURES[size]).eval()
    with torch.inference_mode():
        for name, tensor in model.state_dict().items():
            if tensor.dim() > 1:
                tensor.normal_(std=1 / math.sqrt(tensor[0].numel()))
            else:
                tensor.fill_(1.0 if name.endswith(("running_var", "norm.weight", "bn0.weight", "bn1.weight")) else 0.0)
        pixels = torch.randn(batch, 3, 480, 480)
        seconds = best(lambda: model(pixels, (479, 479)), rounds) / batch
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="r50", choices=sorted(ARCHITECTURES))
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    print(f"| unidet-{asked.size}, 512x512, one thread | seconds a picture | peak MiB |\n|---|---|---|")
    for batch in (1, 8):
        with get_context("spawn").Pool(1) as pool:
            seconds, peak = pool.apply(network, (asked.size, batch, asked.rounds))
        print(f"| batch of {batch} | {seconds:.2f} | {peak:.0f} |", flush=True)
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    boxes = random_boxes(generator, 1000, 480.0)
    scores, groups = generator.uniform(size=1000), generator.integers(0, 20, 1000)
    tensors = torch.tensor(boxes, dtype=torch.float32), torch.tensor(scores), torch.tensor(groups)
    cells = generator.normal(size=(16, 60, 60))
    cells_CHW = torch.tensor(cells, dtype=torch.float32)
    rows, values, kinds, few = boxes.tolist(), scores.tolist(), groups.tolist(), boxes[:20]
    ways = {
        "suppression, 1000 boxes in 20 classes": (
            lambda: plain_suppress(rows, values, kinds, 0.5),
            lambda: suppress(*tensors, 0.5),
        ),
        "RoIAlign, 20 boxes of 16 channels": (
            lambda: [plain_roi_align(cells, box, 1 / 8) for box in few],
            lambda: roi_align(cells_CHW, tensors[0][:20], 1 / 8),
        ),
    }
    print("\n| what | plain loop | ours | ratio |\n|---|---|---|---|")
    for what, (plain, ours) in ways.items():
        slow, fast = best(plain, asked.rounds), best(ours, asked.rounds)
        print(f"| {what} | {slow * 1000:.1f} ms | {fast * 1000:.2f} ms | {slow / fast:.0f} |")


if __name__ == "__main__":
    main()
