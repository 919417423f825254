"""Samples per second against a loop that works as the released infer.py does; prints a Markdown table.

    python -m tests.perf.sampling [--ckpt tiny-janus] [--samples 1,4,16,64] [--cap 60] [--rounds 2]
    python -m tests.perf.sampling --random 1b|7b --dtype bfloat16 --device cuda --samples 128

The loop writes one chain after the other with a growing cache and then paints that chain's picture, both heads over
every position that is fed. Both ways draw from the same model for the same prompt, in turns, in one process each; the
first round does not count. `--random` builds Janus-Pro's sizes with random weights, and measures the decode step
against the time in which the device can read its weights and cache once.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, JanusConfig, JanusForConditionalGeneration

from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.memory import cache_bytes_per_token
from gotr1_eval.models.janus.loading import Checkpoint, load_checkpoint
from gotr1_eval.models.janus.sampling import decode_images, sample_chains, sample_images
from gotr1_eval.models.janus.sequence import SpecialIds, encode_prompt

PROMPT = "a red circle on the left of a blue square"
GUIDANCE = 5.0
SIZES = {"1b": (2048, 5632, 24, 16), "7b": (4096, 11008, 30, 32)}


def random_janus(size: str, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    """Janus-Pro's sizes with random weights, and the shipped tokenizer: what is sampled is noise at full cost."""
    width, inner, layers, heads = SIZES[size]
    shipped = load_checkpoint(checkpoint_folder("tiny-janus"), device=torch.device("cpu"), dtype=torch.float32)
    config = JanusConfig(
        text_config={
            "model_type": "llama", "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": heads, "vocab_size": 102400,
            "max_position_embeddings": 16384,
        },
        vision_config={"num_image_tokens": 576, "image_size": 384, "patch_size": 16, "projection_dim": width},
        vq_config={"projection_dim": width, "image_token_embed_dim": width},
        tie_word_embeddings=False,
    )  # fmt: skip
    with device:
        model = JanusForConditionalGeneration._from_config(config, dtype=dtype).eval()
    return Checkpoint(model, shipped.tokenizer, shipped.special)


def ours(loaded: Checkpoint, samples: int, cap: int, *, decode: bool) -> None:
    """All samples at once."""
    row = encode_prompt(loaded.tokenizer, PROMPT, loaded.special)
    seeds = range(samples)
    chains = sample_chains(loaded.model, [row] * samples, seeds, loaded.special, cap=cap, choice=Choice())
    texts = [[*row, *chain.ids] for chain in chains]
    images = sample_images(loaded.model, texts, seeds, loaded.special, guidance=GUIDANCE, choice=Choice())
    if decode:
        decode_images(loaded.model, images.ids_BT)


@torch.inference_mode()
def one_by_one(loaded: Checkpoint, samples: int, cap: int, *, decode: bool) -> None:
    """One chain after the other, each with its picture."""
    row = encode_prompt(loaded.tokenizer, PROMPT, loaded.special)
    for _ in range(samples):
        text = torch.tensor([row], device=loaded.model.device)
        text = torch.cat([text, _chain(loaded.model, text, loaded.special, cap)], dim=1)
        painted = _picture(loaded.model, text, loaded.special)
        if decode:
            decode_images(loaded.model, painted)


def _chain(model: Any, text: Tensor, special: SpecialIds, cap: int) -> Tensor:
    cache, fed, ids = DynamicCache(), model.get_input_embeddings()(text), []
    for _ in range(cap):
        out = model.model.language_model(inputs_embeds=fed, past_key_values=cache, use_cache=True)
        ids.append(torch.multinomial(model.lm_head(out.last_hidden_state)[:, -1].float().softmax(-1), 1))
        if int(ids[-1]) == special.begin_of_image:
            return torch.cat(ids, dim=1)
        fed = model.get_input_embeddings()(ids[-1])
    return torch.cat([*ids, torch.full_like(ids[0], special.begin_of_image)], dim=1)


def _picture(model: Any, text: Tensor, special: SpecialIds) -> Tensor:
    rows = text.repeat(2, 1)
    rows[1, 1:-1] = special.pad
    cache, fed, ids = DynamicCache(), model.get_input_embeddings()(rows), []
    for _ in range(model.config.vision_config.num_image_tokens):
        out = model.model.language_model(inputs_embeds=fed, past_key_values=cache, use_cache=True)
        conditional, plain = model.model.generation_head(out.last_hidden_state)[:, -1].float()
        ids.append(torch.multinomial((plain + GUIDANCE * (conditional - plain)).softmax(-1), 1))
        fed = model.prepare_embeddings_for_image_generation(ids[-1].expand(2)[:, None])
    return torch.stack(ids, dim=1)


def seconds(run: Callable[[], None], rounds: int, device: torch.device) -> float:
    """The fastest of so many rounds after one that does not count."""
    found = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return min(found[1:])


def peak_mib(device: torch.device) -> float:
    """Most memory ever used: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(way: str, asked: argparse.Namespace, samples: int) -> tuple[float, float]:
    """(samples a second, peak memory in MiB) of one way, in a process of its own."""
    device = torch.device(asked.device)
    if device.type == "cpu":
        torch.set_num_threads(asked.threads)
    loaded = _load(asked, device)
    run = {"ours": ours, "one by one": one_by_one}[way]
    took = seconds(lambda: run(loaded, samples, asked.cap, decode=not asked.tokens_only), asked.rounds, device)
    return samples / took, peak_mib(device)


def _load(asked: argparse.Namespace, device: torch.device) -> Checkpoint:
    dtype = getattr(torch, asked.dtype)
    if asked.random:
        return random_janus(asked.random, device, dtype)
    return load_checkpoint(checkpoint_folder(asked.ckpt), device=device, dtype=dtype)


def decode_floor(asked: argparse.Namespace, samples: int) -> str:
    """How near a decode step comes to reading weights and cache once, at the measured copy bandwidth."""
    device = torch.device(asked.device)
    loaded = _load(asked, device)
    block = torch.empty(2**30, dtype=torch.uint8, device=device)
    copied = seconds(lambda: block.clone().data_ptr(), 5, device)
    bandwidth = 2 * 2**30 / copied
    model = loaded.model
    row = [*encode_prompt(loaded.tokenizer, PROMPT, loaded.special), loaded.special.begin_of_image]
    steps = model.config.vision_config.num_image_tokens

    def generate() -> None:
        sample_images(model, [row] * samples, range(samples), loaded.special, guidance=GUIDANCE, choice=Choice())

    took = seconds(generate, 1, device)
    language = sum(each.numel() * each.element_size() for each in model.model.language_model.parameters())
    cache = 2 * samples * (len(row) + steps / 2) * cache_bytes_per_token(model)
    floor = (language + cache) / bandwidth
    return f"decode step {1000 * took / steps:.2f} ms, floor {1000 * floor:.2f} ms: {floor * steps / took:.0%} of it"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", default="tiny-janus")
    parser.add_argument("--random", choices=sorted(SIZES))
    parser.add_argument("--samples", default="1,4,16,64")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    for name, default in (("cap", 60), ("rounds", 2), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--tokens-only", action="store_true", help="leave the picture decoder out")
    asked = parser.parse_args()
    print("| samples of one prompt | one by one, samples/s | ours, samples/s | ratio | peak MiB, one by one | ours |")
    print("|---|---|---|---|---|---|")
    for samples in map(int, asked.samples.split(",")):
        found = []
        for way in ("one by one", "ours"):
            with get_context("spawn").Pool(1) as pool:
                found.append(pool.apply(measure, (way, asked, samples)))
        (slow, slow_peak), (fast, fast_peak) = found
        print(
            f"| {samples} | {slow:.2f} | {fast:.2f} | {fast / slow:.1f} | {slow_peak:.0f} | {fast_peak:.0f} |",
            flush=True,
        )
    if asked.device != "cpu":
        print(decode_floor(asked, int(asked.samples.split(",")[-1])))


if __name__ == "__main__":
    main()
