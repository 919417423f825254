"""The panel side by side: what is opened, resized and looked at, and how long it takes against one script a judge.

Small random weights of the true classes; only counts and ratios say anything. Each way runs in a process of its own,
and its seconds are those of judging alone, without start and loading:

    OMP_NUM_THREADS=1 python -m tests.perf.panel --pictures 32
    python -m tests.perf.panel --costs          # of the released sizes: weights, and operations a picture
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig, CLIPModel, Qwen2VLConfig
from transformers.models.blip.modeling_blip import BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

from gotr1_eval.build import Builder
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Json, Sample
from gotr1_eval.models.reward_models._image_reward_files import tower_configs
from rewards.reward_set import RewardSet
from tests.tiny_clip import random_open_clip, write_tokenizer
from tests.tiny_reward_models import head_file, hps_v3_model, image_reward_file

SIDE = 224


def make_weights(folder: Path) -> dict[str, dict[str, Json]]:
    """Factor -> settings of a judge; `clip_score` and `laion_aesthetic` name the same CLIP."""
    clips = {name: str(clip_folder(folder / name)) for name in ("clip", "pick")}
    (folder / "hps").mkdir()
    tensors = random_open_clip(side=SIDE, patch=32, image_width=128, text_width=64).state_dict()
    torch.save({"state_dict": tensors}, folder / "hps" / "hps.pt")
    write_tokenizer(folder / "hps")
    (folder / "liked").mkdir()
    image_reward_file(folder / "liked" / "ImageReward.pt")
    (folder / "hps3").mkdir()
    hps_v3_model(folder / "hps3")
    head = str(head_file(folder / "head.pth"))
    encoder: dict[str, Json] = {"use": "clip", "model": clips["clip"]}
    hps: dict[str, Json] = {
        "use": "hps", "weights": str(folder / "hps" / "hps.pt"), "image_heads": 4, "text_heads": 2
    }  # fmt: skip
    liked: dict[str, Json] = {
        "use": "image_reward", "weights": str(folder / "liked" / "ImageReward.pt"), "image_heads": 2, "text_heads": 2
    }  # fmt: skip
    third = {"weights": "HPSv3.safetensors", "package": "hpsv3.whl"}
    return {
        "pick_score": {"use": "pick_score", "model": {"use": "pick_score", "model": clips["pick"]}},
        "image_reward": {"use": "image_reward", "model": liked},
        "laion_aesthetic": {
            "use": "laion_aesthetic", "model": {"use": "laion_aesthetic", "head": head, "encoder": encoder}
        },
        "clip_score": {"use": "clip_score", "encoder": encoder},
        "hps_v2_1": {"use": "aesthetic", "encoder": hps},
        "hps_v3": {
            "use": "hps_v3",
            "model": {
                "use": "hps_v3", "base": str(folder / "hps3"),
                **{key: str(folder / "hps3" / name) for key, name in third.items()},
            },
        },
    }  # fmt: skip


def clip_folder(folder: Path) -> Path:
    shared: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 4, "projection_dim": 768}
    config = CLIPConfig(
        projection_dim=768,
        vision_config=shared | {"hidden_size": 128, "intermediate_size": 256, "image_size": SIDE, "patch_size": 32},
        text_config=shared | {"hidden_size": 64, "intermediate_size": 128, "vocab_size": 514, "eos_token_id": 513},
    )
    CLIPModel(config).save_pretrained(folder)
    return write_tokenizer(folder)


def make_pictures(folder: Path, count: int) -> list[Sample]:
    generator = np.random.default_rng(0)
    samples = []
    for place in range(count):
        pixels = generator.integers(0, 256, (64, 96, 3), dtype=np.uint8)
        path = folder / f"{place:03}.png"
        Image.fromarray(pixels).resize((768, 512), Image.Resampling.BICUBIC).save(path)
        samples.append(Sample(id=str(place), prompt=f"a picture of {place % 4} things", image=path))
    return samples


@contextmanager
def counted(judges: RewardSet, builder: Builder) -> Iterator[dict[str, Counter[str]]]:
    """Files opened, sizes resized to, and forward passes of every network that looks at pictures."""
    counts: dict[str, Counter[str]] = {"opened": Counter(), "resized to": Counter(), "forward passes": Counter()}
    really_open, really_resize = Image.open, Image.Image.resize

    def count_open(file: Any, *arguments: Any, **settings: Any) -> Image.Image:
        counts["opened"][str(os.fstat(file.fileno()).st_ino)] += 1
        return really_open(file, *arguments, **settings)

    def count_resize(picture: Image.Image, size: Any, *arguments: Any, **settings: Any) -> Image.Image:
        counts["resized to"][f"{size[0]}x{size[1]}"] += 1
        return really_resize(picture, size, *arguments, **settings)

    hooks = []
    for built in builder.built():
        model = getattr(built.__dict__.get("loaded"), "model", None)
        for part in ("vision_model", "image", "qwen"):
            if model is not None and hasattr(model, part):
                tower = model.qwen.visual if part == "qwen" else getattr(model, part)
                name = f"{type(built).__name__} {built.name}"  # type: ignore[attr-defined]
                hooks.append(tower.register_forward_hook(lambda *_, name=name: counts["forward passes"].update([name])))
    Image.open, Image.Image.resize = count_open, count_resize  # type: ignore[assignment,method-assign]
    try:
        yield counts
    finally:
        Image.open, Image.Image.resize = really_open, really_resize  # type: ignore[method-assign]
        for hook in hooks:
            hook.remove()


def work(folder: Path, factors: list[str], count: int, rounds: int) -> dict[str, Any]:
    """What one process does: load, judge once to warm up, count once, and take the least of several times."""
    specs, builder = json.loads((folder / "specs.json").read_text()), Builder()
    judges = RewardSet({factor: builder.judge(specs[factor]) for factor in factors})
    samples = make_pictures(folder, count)
    assert all(isinstance(one, Score) for row in judges.judge(samples) for one in row.values())
    with counted(judges, builder) as counts:
        judges.judge(samples)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        judges.judge(samples)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    opened = counts.pop("opened")
    return {
        "seconds": min(seconds), "peak_mib": peak, "opened": [len(opened), max(opened.values())],
        **{kind: dict(count) for kind, count in counts.items()},
    }  # fmt: skip


def in_a_process(folder: Path, factors: list[str], given: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.perf.panel", "--worker", str(folder), "--factors", *factors]
    command += ["--pictures", str(given.pictures), "--rounds", str(given.rounds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = make_weights(folder)
        (folder / "specs.json").write_text(json.dumps(specs))
        together = in_a_process(folder, [*specs], given)
        apart = {factor: in_a_process(folder, [factor], given) for factor in specs}
    files, most = together["opened"]
    print(f"{given.pictures} pictures, {len(specs)} judges together: {files} files, each opened {most} time(s)")
    for size, count in together["resized to"].items():
        print(f"  resized to {size}: {count} times")
    for model, count in together["forward passes"].items():
        print(f"  {model}: {count} forward passes over pictures")
    alone = sum(each["seconds"] for each in apart.values())
    largest = max(each["peak_mib"] for each in apart.values())
    ratio = alone / together["seconds"]
    print(f"together {together['seconds']:.2f} s, one script a judge {alone:.2f} s: {ratio:.2f} times")
    print(f"peak memory together {together['peak_mib']:.0f} MiB, of the largest script {largest:.0f} MiB")


def costs() -> None:
    """Of the released sizes; a multiplication with its addition counts as two operations."""
    with torch.device("meta"):
        for name, sizes in {"ViT-H/14": (1280, 32, 16, 1024, 24), "ViT-L/14": (1024, 24, 16, 768, 12)}.items():
            width, layers, heads, text, text_layers = sizes
            vision = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads, "patch_size": 14}
            words = {"hidden_size": text, "num_hidden_layers": text_layers, "num_attention_heads": text // 64}
            config = CLIPConfig(
                projection_dim=text, vision_config=vision | {"intermediate_size": 4 * width},
                text_config=words | {"intermediate_size": 4 * text},
            )  # fmt: skip
            clip = CLIPModel(config)
            picture = operations(lambda clip=clip: clip.vision_model(pixel_values=torch.empty(1, 3, SIDE, SIDE)))
            prompt = operations(lambda clip=clip: clip.text_model(input_ids=torch.zeros(1, 77, dtype=torch.long)))
            print(f"{name}: {weights(clip):.2f} G weights, {picture:.2f} T a picture, {prompt:.2f} T a prompt")
        seeing, reading = image_reward_towers()
        once = operations(lambda: read(seeing, reading))
        print(f"ImageReward: {weights(seeing) + weights(reading):.2f} G weights, {once:.2f} T a picture and prompt")
        qwen = Qwen2VLModel(qwen_config())
        length = 256 + 640  # a picture's tokens, and about as many of the request as its 2,600 characters make
        positions = torch.zeros(3, 1, length, dtype=torch.long)
        embedded = torch.empty(1, length, qwen.config.text_config.hidden_size)
        text = operations(lambda: qwen.language_model(inputs_embeds=embedded, position_ids=positions, use_cache=False))
        print(f"HPSv3: {weights(qwen):.2f} G weights, {text:.1f} T of the language model at {length} tokens")


def operations(run: Any) -> float:
    """In units of 10**12."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e12


def weights(model: torch.nn.Module) -> float:
    """In units of 10**9."""
    return sum(weight.numel() for weight in model.parameters()) / 1e9


def image_reward_towers() -> tuple[Any, Any]:
    image, text = tower_configs(
        image_width=1024, image_layers=24, image_hidden=4096, image_heads=16, patch=16, grid=14, text_width=768,
        text_layers=12, text_hidden=3072, text_heads=12, vocabulary=30524, positions=512,
    )  # fmt: skip
    return BlipVisionModel(image), BlipTextModel(text, add_pooling_layer=False)


def read(seeing: Any, reading: Any) -> None:
    seen = seeing(pixel_values=torch.empty(1, 3, SIDE, SIDE)).last_hidden_state
    reading(input_ids=torch.zeros(1, 35, dtype=torch.long), encoder_hidden_states=seen, is_decoder=False)


def qwen_config() -> Qwen2VLConfig:
    rope = {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6}
    text = {
        "vocab_size": 151658, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "rope_parameters": rope,
    }  # fmt: skip
    vision = {"depth": 32, "embed_dim": 1280, "num_heads": 16, "hidden_size": 3584, "patch_size": 14}
    return Qwen2VLConfig(text_config=text, vision_config=vision)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--costs", action="store_true")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--factors", nargs="*", default=[], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.costs:
        costs()
    elif given.worker is not None:
        print(json.dumps(work(given.worker, given.factors, given.pictures, given.rounds)))
    else:
        compare(given)


if __name__ == "__main__":
    main()
