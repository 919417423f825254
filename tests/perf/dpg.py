"""What sharing saves DPG-Bench's judge: counted FLOPs at the official sizes, and seconds of a small model.

    python -m tests.perf.dpg [--questions 13] [--tokens 2]

Counted on the meta device, where shapes are all there is. "As the pipeline runs" sees the picture anew for every
question, tiles picture and question over five beams, and runs the whole prefix through the decoder, keys of the picture
included, at every step; "shared" is what the judge does. Answers of `tokens` tokens: yes and its end are 2.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from gotr1_eval.models.vqa._mplug_beams import BEAMS, START
from gotr1_eval.models.vqa._mplug_files import MOST_TOKENS
from gotr1_eval.models.vqa._mplug_network import MplugNetwork, Sizes

OFFICIAL = Sizes(
    side=504, patch=14, picture_width=1024, picture_layers=24, narrowed=True, width=768, heads=12, inner=3072,
    vocabulary=30522, positions=512, text_layers=6, fusion_layers=6, decoder_layers=12, stride=6,
)  # fmt: skip
SMALL = Sizes(
    side=168, patch=14, picture_width=192, picture_layers=6, narrowed=True, width=192, heads=4, inner=768,
    vocabulary=30522, positions=512, text_layers=3, fusion_layers=3, decoder_layers=4, stride=6,
)  # fmt: skip


def shared(network: MplugNetwork, pixels: torch.Tensor, ids: torch.Tensor, hidden: torch.Tensor, tokens: int) -> None:
    """As the judge asks: one picture, all of its questions, beams from the second token on."""
    questions = len(ids)
    fused = network.fuse(network.see(pixels), network.read(ids, hidden), hidden)
    state = network.answer(*fused, hidden)
    rows = torch.arange(questions, device=pixels.device)
    state.advance(torch.full((questions,), START, device=pixels.device))
    for _ in range(tokens - 1):
        beams = BEAMS if len(rows) == questions else 1
        rows = torch.arange(len(rows), device=pixels.device).repeat_interleave(beams)
        state.select(rows, torch.arange(questions, device=pixels.device))
        state.advance(torch.full((len(rows),), START, device=pixels.device))


def one_at_a_time(
    network: MplugNetwork, pixels: torch.Tensor, ids: torch.Tensor, hidden: torch.Tensor, tokens: int
) -> None:
    """As the pipeline asks: everything anew for every question, beam and step."""
    for place in range(len(ids)):
        own_ids, own_hidden = ids[place : place + 1], hidden[place : place + 1]
        picture, text = network.fuse(network.see(pixels), network.read(own_ids, own_hidden), own_hidden)
        tiled = (picture.expand(BEAMS, -1, -1), text.expand(BEAMS, -1, -1), own_hidden.expand(BEAMS, -1))
        for length in range(1, tokens + 1):
            state = network.answer(*tiled)
            for _ in range(length):
                state.advance(torch.full((BEAMS,), START, device=pixels.device))


def inputs(sizes: Sizes, questions: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    pixels = torch.zeros((1, 3, sizes.side, sizes.side), device=device)
    ids = torch.zeros((questions, MOST_TOKENS), dtype=torch.long, device=device)
    return pixels, ids, torch.zeros((questions, MOST_TOKENS), dtype=torch.bool, device=device)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=13)
    parser.add_argument("--tokens", type=int, default=2)
    arguments = parser.parse_args()
    with torch.device("meta"):
        network = MplugNetwork(OFFICIAL).eval()
    counts = {}
    with torch.inference_mode():
        for name, run in (("one question at a time", one_at_a_time), ("shared", shared)):
            with FlopCounterMode(display=False) as counter:
                run(network, *inputs(OFFICIAL, arguments.questions, "meta"), arguments.tokens)
            counts[name] = counter.get_total_flops()
            print(f"{name}: {counts[name] / 1e12:.3f} TFLOP a picture of {arguments.questions} questions")
        print(f"fewer by {counts['one question at a time'] / counts['shared']:.1f} times at the official sizes")
        small = MplugNetwork(SMALL).eval()
        for parameter in small.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
        seconds = {}
        for name, run in (("one question at a time", one_at_a_time), ("shared", shared)):
            run(small, *inputs(SMALL, 2, "cpu"), 2)
            start = time.perf_counter()
            run(small, *inputs(SMALL, arguments.questions, "cpu"), arguments.tokens)
            seconds[name] = time.perf_counter() - start
            print(f"{name}: {seconds[name]:.3f} s on the CPU, small model")
        print(f"faster by {seconds['one question at a time'] / seconds['shared']:.1f} times")


if __name__ == "__main__":
    main()
