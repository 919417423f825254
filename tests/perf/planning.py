"""The model of costs against measured points on this machine, one worker and two; prints a Markdown table.

    OMP_NUM_THREADS=1 python -m tests.perf.planning [--rounds 5]

A Janus with random weights (512 wide, 8 layers) reads rows and decodes with a cache, as the sampler does, one thread a
worker. Two points set the constants, FLOPs a second while reading and bytes a second while decoding; all others are
predicted from them. Seconds are those of the processor, so that other programs on the machine count little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import torch
from transformers import LlamaConfig, LlamaModel

from gotr1_eval.models.autoregressive.decoder import Decoder, KVCache
from gotr1_eval.planning import flops
from gotr1_eval.planning.assumptions import Assumptions, Gpu
from gotr1_eval.planning.phases import writing
from gotr1_eval.planning.sizes import Language

SIZE = Language(width=512, inner=1376, layers=8, heads=8, kv_heads=8, vocabulary=0)
PAST, NEW = 64, 8
READ_AT, WRITE_AT = 128, 1


def make_model() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=SIZE.width, intermediate_size=SIZE.inner, num_hidden_layers=SIZE.layers,
        num_attention_heads=SIZE.heads, num_key_value_heads=SIZE.kv_heads, vocab_size=32,
    )  # fmt: skip
    return LlamaModel(config).eval()


def fastest(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times[1:])


@torch.inference_mode()
def read(model: Any, tokens: int, rounds: int) -> float:
    """Seconds of one row of so many tokens."""
    fed = torch.randn(1, tokens, SIZE.width)
    return fastest(lambda: model(inputs_embeds=fed, use_cache=False), rounds)


@torch.inference_mode()
def write(model: Any, rows: int, rounds: int) -> float:
    """Seconds of `NEW` tokens in so many rows, after `PAST`."""
    decoder = Decoder(model, KVCache(model, rows, PAST + NEW), rows)
    embedded = [torch.randn(PAST, SIZE.width) for _ in range(rows)]
    step_RD = torch.randn(rows, SIZE.width)

    def decode() -> None:
        for step in range(NEW):
            decoder.step(step_RD, PAST + step + 1)

    times = []
    for _ in range(rounds + 1):
        decoder.prefill(embedded)
        start = time.process_time()
        decode()
        times.append(time.process_time() - start)
    return min(times[1:])


def share_of(rows: int, rounds: int) -> float:
    """What one of several workers takes for its rows."""
    torch.set_num_threads(1)
    return write(make_model(), rows, rounds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    model, weights = make_model(), flops.language_weights(SIZE)
    speed = flops.language(SIZE, READ_AT) / read(model, READ_AT, rounds)
    given = Assumptions(read_share=1, write_share=1, weight_bytes=4)
    machine = Gpu(flops=speed, bandwidth=1.0, memory=1e12)

    def predicted(rows: int, gpu: Gpu) -> float:
        phase = writing(
            "decoding", SIZE, weights, rows=rows, batch=rows, new=NEW, past=PAST, extra=0, gpu=gpu, given=given,
            head=False,
        )  # fmt: skip
        return phase.seconds

    moved = predicted(WRITE_AT, machine)
    machine = replace(machine, bandwidth=moved / write(model, WRITE_AT, rounds))
    print(f"{speed / 1e9:.1f} GFLOPs/s reading {READ_AT} tokens, {machine.bandwidth / 1e9:.1f} GB/s decoding one row\n")
    print("| point | predicted, s | measured, s | measured / predicted |\n|---|---|---|---|")

    def told(name: str, expected: float, found: float) -> None:
        print(f"| {name} | {expected:.3f} | {found:.3f} | {found / expected:.2f} |")

    for tokens in (64, 256, 512):
        told(f"read {tokens} tokens", flops.language(SIZE, tokens) / speed, read(model, tokens, rounds))
    for rows in (4, 16, 32):
        told(f"decode {rows} rows", predicted(rows, machine), write(model, rows, rounds))
    with get_context("spawn").Pool(2) as pool:
        both = pool.starmap(share_of, [(16, rounds)] * 2)
    told("decode 32 rows on two workers", predicted(16, machine), max(both))


if __name__ == "__main__":
    main()
