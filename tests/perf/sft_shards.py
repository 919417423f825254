"""Starting on millions of supervised examples: seconds until the first batch, and memory that is not mapped pages.

    python -m tests.perf.sft_shards [--rows 8500000] [--codes 576] [--reads 20000]

The shards are made up, in sparse files: they have the size of the real ones and take almost no disk.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from training.sft import SftOptions, steps_from
from training.sft_examples import COMPLETE, ROWS, ExampleShards

PROMPT, CHAIN = 40, 120
"""Tokens of a made-up row, on average."""


def sparse(path: Path, shape: tuple[int, ...], dtype: type) -> None:
    """An array of zeros that takes no disk."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    del array


def make_shards(folder: Path, rows: int, codes: int) -> None:
    """Rows of different lengths, all of them zeros."""
    rng = np.random.default_rng(0)
    counts = [min(ROWS, rows - start) for start in range(0, rows, ROWS)]
    for shard, count in enumerate(counts):
        place = folder / f"shard-{shard:06}"
        place.mkdir(parents=True)
        chains = rng.integers(CHAIN // 2, CHAIN * 3 // 2, count)
        ends = np.cumsum(PROMPT + chains)
        np.save(place / "ends.npy", np.stack([ends - chains, ends], axis=1))
        sparse(place / "text.npy", (int(ends[-1]),), np.int32)
        sparse(place / "image.npy", (count, codes), np.uint16)
    (folder / COMPLETE).write_text(json.dumps({"rows": counts, "made_of": {}}))


def anonymous() -> int:
    """MiB of this process's memory that no file backs."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=8_500_000)
    parser.add_argument("--codes", type=int, default=576)
    parser.add_argument("--reads", type=int, default=20_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_shards(Path(folder), asked.rows, asked.codes)
        before, start = anonymous(), time.perf_counter()
        shards = ExampleShards(Path(folder))
        opened = time.perf_counter() - start
        options = SftOptions(steps=70_000, batch_size=32)
        first = next(steps_from(0, shards, 1, options))
        begun = time.perf_counter() - start
        print(
            f"{len(shards)} rows: open after {opened:.1f} s, first batch ({len(first[0].image_BT)} rows) {begun:.1f} s"
        )
        start = time.perf_counter()
        next(steps_from(60_000, shards, 1, options))
        print(f"step 60,001 of a resumed run after {time.perf_counter() - start:.1f} s")
        dice, start = random.Random(0), time.perf_counter()
        for _ in range(asked.reads):
            example = shards[dice.randrange(len(shards))]
            assert len(example.image) == asked.codes
        took = time.perf_counter() - start
        print(f"{asked.reads} random reads: {1e6 * took / asked.reads:.0f} us each")
        print(f"anonymous memory {anonymous()} MiB ({before} MiB of it before, torch {torch.__version__})")


if __name__ == "__main__":
    main()
