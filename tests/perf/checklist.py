"""GenEval 2's questions against one forward of the whole model a question: ``python -m tests.perf.checklist``.

Same weights (random, of Qwen3-VL's class), same pictures and questions, in one run and in turns; each way prepares and
encodes pictures as it does in use. The scores of both are compared. The ratio means something, the seconds do not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from benchmarks.geneval2.judges.geneval2 import soft_tifa
from benchmarks.geneval2.prompts import FACTS, Row, Wording, forms
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Sample
from gotr1_eval.models.vlms.qwen import QwenVlm, Settings
from tests.tiny_vlms import MARKS, _scatter, digit_tokenizer

WORDING = Wording("{} Say it in a word.", 'Is it "{}"?')
PAIRS = (
    ("How many cups are on the table?", "three"), ("Are the cups red?", "Yes"), ("Are there any cups?", "Yes"),
    ("Are the cups left of the bowl?", "Yes"), ("How many bowls are there?", "one"), ("Is the bowl blue?", "Yes"),
    ("Is there a bowl?", "Yes"),
)  # fmt: skip
ROW = Row(0, "three red cups left of a blue bowl", 7, PAIRS, ("object",) * len(PAIRS))
TOLERANCE = 1e-4
"""In probability; float32."""


def save_model(folder: Path, *, width: int, layers: int) -> None:
    """A random Qwen3-VL, its vision tower half as deep and wide, for pictures of up to 4,096 tokens."""
    tokenizer = digit_tokenizer(MARKS)
    ids = {mark: tokenizer.token_to_id(mark) for mark in MARKS}
    heads = width // 32
    text = {
        "vocab_size": tokenizer.get_vocab_size(), "hidden_size": width, "intermediate_size": 3 * width,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads // 2, "head_dim": 32,
        "rope_parameters": {"rope_type": "default", "mrope_section": [6, 5, 5], "rope_theta": 10000.0},
        "bos_token_id": None, "eos_token_id": ids["<|im_end|>"], "pad_token_id": None,
    }  # fmt: skip
    vision = {
        "depth": layers // 2, "num_heads": heads // 2, "patch_size": 16, "hidden_size": width // 2,
        "intermediate_size": 2 * width, "out_hidden_size": width, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    named = {
        "image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"], "vision_end_token_id": ids["<|vision_end|>"],
    }  # fmt: skip
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **named))
    _scatter(model)
    model.generation_config.eos_token_id = [ids["<|im_end|>"]]
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    pictures = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 16, "merge_size": 2}
    pictures |= {"min_pixels": 3136, "max_pixels": 4096 * 32 * 32, "temporal_patch_size": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures), encoding="utf-8")


def samples(pictures: int, side: int) -> list[Sample]:
    """Noise of side x side pixels, (side / 32)^2 tokens each, with seven questions."""
    dice = np.random.default_rng(0)
    noise = [Image.fromarray(dice.integers(0, 255, (side, side, 3), dtype=np.uint8)) for _ in range(pictures)]
    return [
        Sample(id=str(place), prompt=ROW.prompt, image=image, meta={FACTS: dict(ROW.fact)})
        for place, image in enumerate(noise)
    ]


def one_by_one(vlm: QwenVlm, asked: list[Sample]) -> list[float]:
    """As the script does: each question by itself, picture included, through transformers' own forward."""
    found = []
    model = vlm.loaded.model
    for sample in asked:
        assert isinstance(sample.image, Image.Image)
        for question in ROW.questions:
            request = Request(prompt=WORDING.ask(question), images=(sample.image,))
            with torch.inference_mode():
                inputs = dict(vlm.processor(images=[sample.image], return_tensors="pt"))
                ids = prompt_ids(vlm, request, int(inputs["image_grid_thw"].prod()) // 4)
                kinds = (ids == model.config.image_token_id).int()
                logits = model(input_ids=ids, mm_token_type_ids=kinds, logits_to_keep=1, **inputs).logits[0, -1]
            listed = sorted({vlm._tokens(form)[0] for form in forms(question, "reference")})
            found.append(float(logits.softmax(-1)[listed].sum()))
    return found


def prompt_ids(vlm: QwenVlm, request: Request, picture_tokens: int) -> torch.Tensor:
    """The conversation's tokens, that of the picture as often as it has patches."""
    from gotr1_eval.models.vlms.qwen import chat_text

    token = vlm.loaded.model.config.image_token_id
    ids = [
        one
        for each in vlm._tokens(chat_text(request, vlm.family.system))
        for one in ([token] * picture_tokens if each == token else [each])
    ]
    return torch.tensor([ids])


def judged(vlm: QwenVlm, asked: list[Sample]) -> list[float]:
    """The benchmark's judge."""
    judge = soft_tifa(vlm, WORDING, method="soft_tifa_gm", semantics="reference", renormalised=False, model="m")
    outcomes = judge.judge(asked)
    assert all(isinstance(outcome, Score) for outcome in outcomes)
    return [float(one.verdict or 0) for outcome in outcomes for one in outcome.questions]


def count_tokens(vlm: QwenVlm, act: Callable[[], object]) -> int:
    """Tokens that the language model reads."""
    read: list[int] = []
    hook = vlm.loaded.model.model.language_model.register_forward_pre_hook(
        lambda _, __, given: read.append(given["inputs_embeds"].shape[:2].numel()), with_kwargs=True
    )
    act()
    hook.remove()
    return sum(read)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    for name, default in (("pictures", 2), ("side", 1024), ("width", 128), ("layers", 4), ("rounds", 3)):
        options.add_argument(f"--{name}", type=int, default=default)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save_model(folder, width=given.width, layers=given.layers)
        asked = samples(given.pictures, given.side)

        def fresh() -> QwenVlm:
            """The model with nothing remembered."""
            vlm = QwenVlm(Settings(model=str(folder)))
            vlm.loaded  # noqa: B018 - reads the checkpoint, which is not what is measured
            return vlm

        ways = {"one forward a question": one_by_one, "ours": judged}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        scores = {}
        for _ in range(given.rounds + 1):
            for name, way in ways.items():
                vlm = fresh()
                begun = time.perf_counter()
                scores[name] = way(vlm, asked)
                seconds[name].append(time.perf_counter() - begun)
        apart = max(abs(one - other) for one, other in zip(*scores.values(), strict=True))
        assert apart < TOLERANCE, apart
        medians = {name: statistics.median(taken[1:]) for name, taken in seconds.items()}
        read = {name: count_tokens(vlm := fresh(), lambda: way(vlm, asked)) for name, way in ways.items()}  # noqa: B023
    slow, fast = ways
    tokens, questions = (given.side // 32) ** 2, given.pictures * len(PAIRS)
    print(f"{given.pictures} pictures of {tokens} tokens, {questions} questions, scores within {apart:.1e}")
    print("| way | seconds | tokens read |\n|---|---|---|")
    for name in ways:
        print(f"| {name} | {medians[name]:.2f} | {read[name]} |")
    print(f"| ratio | {medians[slow] / medians[fast]:.1f} | {read[slow] / read[fast]:.1f} |")


if __name__ == "__main__":
    main()
