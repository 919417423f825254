"""What a GPU alone can show, as one script for one card: five minutes at most, and each result is written at once.

    make gpu-check [ONLY=graphs,decode]
    python -m tests.perf.gpu_check [--only graphs,decode] [--out gpu-check] [--sizes 1b,7b] [--limit 300]

    graphs     replaying a CUDA graph gives what the steps one by one give, 100 steps, on every card there is
    memory     what is held after each of three tiles
    drift      share of image tokens whose probability differs between sampler and trainer, bfloat16, guidance 5
    decode     a decode step of 1, 8 and 32 pictures beside reading weights and cache once at the measured bandwidth
    eager      the same steps without graphs
    grpo       where a GRPO step's seconds go, its memory, and the tile and micro-batch that "auto" would take
    judge      a language-vision judge of Qwen2.5-VL-7B's size, questions a second
    detectors  Mask2Former of the official size, seconds a picture

It writes OUT.json after every part, and OUT.md at the end. Weights are random but for the shipped tiny Janus. On a
processor everything runs through with small models, which tells nothing about anything but that it runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from transformers import Mask2FormerForUniversalSegmentation as Mask2Former
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from gotr1_eval.build import Builder
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Prompt
from gotr1_eval.models.autoregressive import stages
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.autoregressive.fused import prepare_language_model
from gotr1_eval.models.autoregressive.memory import cache_bytes_per_token
from gotr1_eval.models.autoregressive.noise import sound_kernel
from gotr1_eval.models.detectors._mask2former_openmmlab import swin_small
from gotr1_eval.models.detectors.mask2former import Mask2FormerDetector
from gotr1_eval.models.detectors.mask2former import Settings as DetectorSettings
from gotr1_eval.models.janus.loading import Checkpoint
from gotr1_eval.models.janus.sampling import sample_chains, sample_images
from gotr1_eval.models.janus.sequence import SpecialIds, encode_prompt
from gotr1_eval.models.vlms.qwen import QwenVlm
from gotr1_eval.models.vlms.qwen import Settings as QwenSettings
from rewards.reward_set import RewardSet
from tests.grpo_runs import ChecksumJudge
from tests.perf.sampling import random_janus
from tests.tiny_models import loaded_random
from tests.tiny_vlms import save_tiny_qwen
from training.fitting import fitted
from training.grpo import GrpoTrainer
from training.policies import Policy, Sampling
from training.policies.emu3 import read_policy as read_emu3
from training.policies.janus import JanusPolicy, read_policy
from training.prompt_sets import PromptMix
from training.rollout import generate
from training.settings import GrpoSettings
from training.tiny.shapes_corpus import examples

Found = dict[str, float | str]
GUIDANCE, STEPS = 5.0, 128
SAMPLING = Sampling(guidance=GUIDANCE)
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the parts run, and how large their models are: `mini` for a processor."""

    device: torch.device
    sizes: tuple[str, ...]

    @property
    def mini(self) -> bool:
        """Whether this is only to see that everything runs."""
        return self.device.type == "cpu"

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return torch.float32 if self.mini else torch.bfloat16

    def janus(self, size: str) -> Checkpoint:
        """Random weights of that size, as loading would prepare them."""
        loaded = loaded_random() if size == "mini" else random_janus(size, self.device, self.dtype)
        prepare_language_model(loaded.model.model.language_model)
        return loaded

    def held(self) -> float:
        """MiB that are allocated: of the GPU, or of this process without mapped files."""
        gc.collect()
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device) / MIB
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

    def seconds(self, run: Callable[[], object], rounds: int = 1) -> float:
        """The fastest of so many rounds after one that does not count."""
        taken = []
        for _ in range(rounds + 1):
            start = time.perf_counter()
            run()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            taken.append(time.perf_counter() - start)
        return min(taken[1:])


@contextmanager
def without_graphs() -> Iterator[None]:
    """Decode steps run one by one, as on a processor."""
    replayed = stages.Replayed.__call__
    stages.Replayed.__call__ = lambda self, step, span: step(span)  # type: ignore[method-assign]
    try:
        yield
    finally:
        stages.Replayed.__call__ = replayed  # type: ignore[method-assign]


def graphs(machine: Machine) -> Found:
    """On every card: the same ids and log-probabilities, 100 steps of a chain and a whole picture.

    Looked at is the second tile, which replays the first one's graphs in its cache, and whose rows write two chains
    each, one after the other.
    """
    cards = [torch.device("cuda", index) for index in range(torch.cuda.device_count())] or [machine.device]
    found: Found = {}
    for card in cards:
        dtype = "float32" if card.type == "cpu" else "bfloat16"
        policy = read_policy("tiny-janus", str(card), dtype, SAMPLING)
        rows = policy.encode([example.prompt for example in examples(8, 0)])
        # No id ends these chains: every row goes on to the cap.
        endless = SpecialIds(policy.special.bos, policy.special.pad, begin_of_image=-1)

        def chains(policy: Any = policy, rows: Any = rows, endless: SpecialIds = endless) -> Any:
            with policy.same_weights():
                for seeds in (range(len(rows)), range(100, 100 + len(rows))):
                    found = sample_chains(
                        policy.model, rows, seeds, endless, cap=100, choice=Choice(), rows=4, stages=policy.stages
                    )
            return found

        with without_graphs():
            plain_chains = chains()
        steps = sum(one == other for one, other in zip(chains(), plain_chains, strict=True))
        found[f"{card}: equal chains of {len(rows)}, 100 steps"] = steps
        if card.type == "cuda":
            found[f"{card}: noise"] = "one kernel, the same numbers" if sound_kernel(card) else "single operations"
        # An Emu3 feeds two tokens in some of its steps: the ends of its rows.
        for name, family in (("tiny-janus", policy), ("tiny-emu3", read_emu3("tiny-emu3", str(card), dtype, SAMPLING))):
            found[f"{card}: {name}, largest difference of a picture's log-probability"] = graph_difference(family)
    return found


def graph_difference(policy: Policy) -> float:
    """The largest difference of the log-probabilities of eight pictures, with graphs and without."""
    rows = policy.encode([example.prompt for example in examples(8, 0)])
    texts = [[*row, policy.encode_chain("")[-1]] for row in rows]

    def second_tile() -> torch.Tensor:
        with policy.same_weights():
            policy.sample_images(texts, range(len(texts)))
            return policy.sample_images(texts, range(100, 100 + len(texts))).log_probs_BT

    log_probs_BT = second_tile()
    with without_graphs():
        plain_BT = second_tile()
    return float((log_probs_BT - plain_BT).abs().max())


def memory(machine: Machine) -> Found:
    """MiB held after each of three tiles."""
    policy = JanusPolicy(machine.janus(machine.sizes[0]), Sampling(guidance=GUIDANCE))
    found: Found = {}
    for tile in range(3):
        rollout(policy, 4 if machine.mini else 16, seed=tile, cap=20)
        found[f"after tile {tile + 1}, MiB"] = round(machine.held(), 1)
    return found


def rollout(policy: JanusPolicy, count: int, seed: int, cap: int = 200) -> Any:
    """So many samples, one tile."""
    prompts = [Prompt(example.prompt) for example in examples(count, seed)]
    return generate(policy, prompts, range(1000 * seed, 1000 * seed + count), chain_cap=cap, tile=count)


def drift(machine: Machine) -> Found:
    """Of the shipped tiny Janus in bfloat16, before any update."""
    found: Found = {}
    for seed in range(2):
        policy = read_policy("tiny-janus", str(machine.device), "bfloat16", Sampling(guidance=GUIDANCE))
        actions = rollout(policy, 8 if machine.mini else 64, seed).actions
        with torch.no_grad():
            ratio_BT = (policy(actions).image.log_probs_BS - actions.sampled_image_BT).exp()
        outside = float(((ratio_BT < 0.8) | (ratio_BT > 1.2)).float().mean())
        found[f"image tokens outside 0.8 to 1.2, seed {seed}"] = outside
    return found


def bandwidth(machine: Machine) -> float:
    """Bytes a second of a copy, read and written."""
    block = torch.empty(2**24 if machine.mini else 2**31, dtype=torch.uint8, device=machine.device)
    return 2 * block.numel() / machine.seconds(block.clone, 5)


def step_seconds(machine: Machine, loaded: Checkpoint, pictures: int) -> float:
    """Of one step of so many pictures with guidance, the capture of graphs left out."""
    vision = loaded.model.config.vision_config
    row = [*encode_prompt(loaded.tokenizer, "a red circle", loaded.special), loaded.special.begin_of_image]
    steps, vision.num_image_tokens = vision.num_image_tokens, min(STEPS, vision.num_image_tokens)
    taken: list[float] = []
    original = stages.Drawing.next

    def timed(self: Any, longest: int, *, forced: bool = False) -> None:
        start = time.perf_counter()
        original(self, longest, forced=forced)
        if machine.device.type == "cuda":
            torch.cuda.synchronize(machine.device)
        taken.append(time.perf_counter() - start)

    stages.Drawing.next = timed  # type: ignore[method-assign]
    try:
        seeds = range(pictures)
        sample_images(loaded.model, [row] * pictures, seeds, loaded.special, guidance=GUIDANCE, choice=Choice())
    finally:
        stages.Drawing.next = original  # type: ignore[method-assign]
        vision.num_image_tokens = steps
    return float(np.median(taken))


def decode(machine: Machine) -> Found:
    """Milliseconds a step, and the share of the measured bandwidth that reading weights and cache once would be."""
    rate = bandwidth(machine)
    found: Found = {"copy, GB a second": round(rate / 1e9, 1)}
    for size in machine.sizes:
        loaded = machine.janus(size)
        model = loaded.model
        parts = (model.model.language_model, model.model.generation_head)
        weights = sum(each.numel() * each.element_size() for part in parts for each in part.parameters())
        for pictures in (1, 8, 32):
            took = step_seconds(machine, loaded, pictures)
            cache = 2 * pictures * (30 + STEPS / 2) * cache_bytes_per_token(model)
            found[f"{size}, {pictures} pictures: step, ms"] = round(1000 * took, 3)
            found[f"{size}, {pictures} pictures: share of the bandwidth"] = round((weights + cache) / rate / took, 3)
        del loaded, model, parts
        release(machine)
    return found


def eager(machine: Machine) -> Found:
    """How many times longer a step takes without graphs."""
    loaded = machine.janus(machine.sizes[0])
    replayed = step_seconds(machine, loaded, 8)
    with without_graphs():
        plain = step_seconds(machine, loaded, 8)
    return {f"{machine.sizes[0]}, 8 pictures: without graphs, ratio": round(plain / replayed, 2)}


def grpo(machine: Machine) -> Found:
    """Seconds of a step by part, samples a second, and the most memory; the first step does not count."""
    found: Found = {}
    for size in machine.sizes:
        release(machine)
        asked = {
            "ckpt": size, "rewards": "checksum", "prompts": [{"shapes": []}], "prompts_per_step": 2,
            "samples_per_prompt": 4 if machine.mini else 16, "micro_batch": 4, "evaluation": "none",
            "sampling": {"chain_cap": 12 if machine.mini else 64, "tile": 32}, "device": str(machine.device),
            "dtype": "float32" if machine.mini else "bfloat16", "gradient_checkpointing": True,
        }  # fmt: skip
        settings = GrpoSettings.model_validate(asked)
        with TemporaryDirectory() as folder:
            policy = JanusPolicy(machine.janus(size), settings.policy_sampling)
            mix = PromptMix(settings.prompts, settings.seed, Builder().suite)
            rewards = RewardSet({"checksum": ChecksumJudge()})
            trainer = GrpoTrainer(settings, Path(folder), policy, rewards, mix)
            trainer.step(0)
            row = trainer.step(1)
        found |= {f"{size}: {name.partition('/')[2]}, s": round(row[name], 2) for name in row if "seconds/" in name}
        found[f"{size}: samples a second"] = round(row["speed/samples"], 2)
        found |= {f"{size}: {name}": row[name] for name in ("image/drifted", "text/drifted") if name in row}
        found |= {f"{size}: {name}, GiB": round(row[name], 1) for name in row if name.startswith("memory/")}
        auto = settings.model_copy(
            update={"micro_batch": "auto", "sampling": settings.sampling.model_copy(update={"tile": "auto"})}
        )
        tile, micro_batch = fitted(auto, policy)
        found |= {f"{size}: tile that would fit": tile, f"{size}: micro-batch that would fit": micro_batch}
        if machine.device.type == "cuda":
            found[f"{size}: most memory, GiB"] = round(torch.cuda.max_memory_allocated(machine.device) / 2**30, 1)
        del trainer, policy
    return found


def judge(machine: Machine) -> Found:
    """Questions a second of a random Qwen2.5-VL of 7B's sizes: 16 about 4 pictures of 384 pixels, by first tokens."""
    noise = np.random.default_rng(0)
    pictures = [Image.fromarray(noise.integers(0, 255, (384, 384, 3), dtype=np.uint8)) for _ in range(4)]
    scores = tuple(str(number) for number in range(11))
    asked = [
        Request(prompt=f"Question {number}?", images=(picture,), choices=scores, answer_prefix='{"score": ')
        for picture in pictures
        for number in range(4)
    ]
    with TemporaryDirectory() as folder:
        path = save_tiny_qwen(Path(folder))
        given = {"model": str(path), "batch_size": 16, "device": str(machine.device)}
        vlm = QwenVlm(QwenSettings.model_validate(given))
        if not machine.mini:
            vlm.loaded = replace(vlm.loaded, model=qwen_7b(vlm.loaded.model.config, machine.device, machine.dtype))
        took = machine.seconds(lambda: vlm.reply(asked), 2)
    return {"questions a second": round(len(asked) / took, 2)}


def qwen_7b(tiny: Any, device: torch.device, dtype: torch.dtype) -> Any:
    """Random weights of Qwen2.5-VL-7B's sizes, with the marks of the tiny tokenizer."""
    text = {
        "vocab_size": 152_064, "hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "pad_token_id": None,
        "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6},
    }  # fmt: skip
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584}
    marks = {name: getattr(tiny, name) for name in ("image_token_id", "video_token_id", "vision_start_token_id")}
    with device:
        config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **marks)
        return Qwen2_5_VLForConditionalGeneration._from_config(config, dtype=dtype).eval()


def detectors(machine: Machine) -> Found:
    """Mask2Former with Swin-S, random weights: seconds a picture of 1024 pixels."""
    side, count = (64, 1) if machine.mini else (1024, 8)
    detector = Mask2FormerDetector(DetectorSettings(batch_size=count, device=str(machine.device)))
    config = swin_small()
    if machine.mini:
        config.backbone_config.depths, config.decoder_layers, config.encoder_layers = [1, 1, 1, 1], 2, 1
    detector.loaded = Mask2Former(config).eval().to(machine.device)  # what loading would put there
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
    took = machine.seconds(lambda: detector.detect([picture] * count))
    return {f"Mask2Former, {side} pixels: seconds a picture": round(took / count, 3)}


PARTS: dict[str, Callable[[Machine], Found]] = {
    each.__name__: each for each in (graphs, memory, drift, decode, eager, grpo, judge, detectors)
}


def release(machine: Machine) -> None:
    """Let go of what an earlier part held."""
    gc.collect()
    if machine.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(machine.device)


def check(machine: Machine, names: Sequence[str], out: Path, limit: float = math.inf) -> dict[str, Any]:
    """Run the parts and write what they find.

    A part that fails says so and stops no other; one that would begin after `limit` seconds is left out.
    """
    cuda = machine.device.type == "cuda"
    card = torch.cuda.get_device_name(machine.device) if cuda else "processor"
    whole: dict[str, Any] = {
        "machine": {"card": card, "torch": torch.__version__, "transformers": transformers.__version__}, "parts": {},
    }  # fmt: skip
    begun = time.perf_counter()
    for name in names:
        release(machine)
        start = time.perf_counter()
        try:
            found = PARTS[name](machine) if start - begun < limit else {"left out": "the time was up"}
        except Exception as error:  # noqa: BLE001 - whatever happens to one part, the others are measured
            traceback.print_exc()
            found = {"failed": f"{type(error).__name__}: {error}"[:300]}
        whole["parts"][name] = {**found, "seconds of this part": round(time.perf_counter() - start, 1)}
        out.with_suffix(".json").write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
        print(f"{name}: {json.dumps(whole['parts'][name])}", flush=True)
    out.with_suffix(".md").write_text(table(whole), "utf-8")
    return whole


def table(whole: dict[str, Any]) -> str:
    """What was found, as Markdown."""
    lines = [
        ", ".join(f"{name} {value}" for name, value in whole["machine"].items()),
        "",
        "| part | what | |",
        "|---|---|---|",
    ]
    lines += [
        f"| {part} | {what} | {value} |" for part, found in whole["parts"].items() for what, value in found.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the options, run, and end with 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, default=Path("gpu-check"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sizes", default="")
    parser.add_argument("--limit", type=float, default=300.0)
    asked = parser.parse_args()
    names = [name.strip() for name in asked.only.split(",")]
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    device = torch.device(asked.device)
    sizes = tuple(asked.sizes.split(",")) if asked.sizes else ("mini",) if device.type == "cpu" else ("1b", "7b")
    whole = check(Machine(device, sizes), names, asked.out, asked.limit)
    print(table(whole))
    raise SystemExit(any("failed" in found for found in whole["parts"].values()))


if __name__ == "__main__":
    main()
