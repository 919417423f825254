"""The model of costs: held to torch's own counter on small models of the same classes, and to sums by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import JanusConfig, JanusForConditionalGeneration, Qwen2_5_VLForConditionalGeneration
from typer.testing import CliRunner

from gotr1_eval.cli.train import amount
from gotr1_eval.core.errors import UsageError
from gotr1_eval.models.sampled_sequences import left_pad
from gotr1_eval.planning import flops
from gotr1_eval.planning.assumptions import GPUS, Assumptions
from gotr1_eval.planning.phases import reading, writing
from gotr1_eval.planning.plan import judge_pictures, plan_judging, plan_training
from gotr1_eval.planning.questions import Question, questions
from gotr1_eval.planning.sizes import (
    DECODE_FLOPS,
    GENERATORS,
    JUDGES,
    GeneratorSize,
    JudgeSize,
    Language,
    Tower,
    generator_size,
    judge_size,
)
from tests.tiny_models import CODES, TOKENS, random_config, random_tokenizer
from tests.tiny_vlms import save_tiny_qwen
from training.policies.janus import hidden_states

SLACK = 0.01
"""Rotations and position embeddings, which the model of costs leaves out and the counter sees."""

GIVEN = Assumptions()
H100 = GPUS["h100"]


def counted(call: Any) -> float:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        call()
    return float(counter.get_total_flops())


def language_of(config: Any) -> Language:
    return Language(
        width=config.hidden_size, inner=config.intermediate_size, layers=config.num_hidden_layers,
        heads=config.num_attention_heads, kv_heads=config.num_key_value_heads, vocabulary=config.vocab_size,
    )  # fmt: skip


@pytest.fixture(scope="module")
def janus() -> tuple[Any, GeneratorSize]:
    model = JanusForConditionalGeneration._from_config(random_config(random_tokenizer()), attn_implementation="eager")
    size = GeneratorSize(language=language_of(model.config.text_config), codes=CODES, code_width=4, tokens=TOKENS)
    return model.eval(), size


def test_janus_reads_and_paints_as_counted(janus):
    model, size = janus
    rows, length = 3, 40
    text = left_pad([[1] * length] * rows, 0)
    image_BT = torch.zeros(rows, TOKENS, dtype=torch.int64)
    blocks = flops.language(size.language, length + TOKENS - 1) + flops.image_embedding(size, TOKENS - 1)
    found = counted(lambda: hidden_states(model, text, image_BT))
    assert rows * blocks == pytest.approx(found, rel=SLACK)
    states_ND = torch.zeros(7, size.language.width)
    assert counted(lambda: model.lm_head(states_ND)) == flops.head(size.language, 7)
    assert counted(lambda: model.model.generation_head(states_ND)) == flops.image_head(size, 7)


def test_decoding_with_a_cache_is_counted_step_by_step(janus):
    model, size = janus
    language = model.model.language_model

    def decode() -> None:
        cache = None
        for step in range(12):
            fed = torch.zeros(1, 30 if step == 0 else 1, size.language.width)
            cache = language(inputs_embeds=fed, past_key_values=cache, use_cache=True).past_key_values

    predicted = flops.language(size.language, 30) + flops.decoded(size.language, 11, 30)
    assert predicted == pytest.approx(counted(decode), rel=SLACK)
    by_steps = sum(flops.language(size.language, 1, past) for past in range(30, 41))
    assert flops.decoded(size.language, 11, 30) == by_steps


@pytest.mark.parametrize("side", [(56, 56), (84, 140)])
def test_qwen_sees_and_reads_as_counted(tmp_path: Path, side):
    folder = save_tiny_qwen(tmp_path)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()
    eyes = model.config.vision_config
    size = JudgeSize(
        language=language_of(model.config.text_config),
        tower=Tower(width=eyes.hidden_size, inner=eyes.intermediate_size, layers=eyes.depth, full_layers=1, window=4),
    )
    grid = torch.tensor([[1, side[1] // 14, side[0] // 14]])
    pixels = torch.zeros(int(grid.prod()), 3 * 2 * 14 * 14)
    predicted = flops.tower(size.tower, side, size.language.width)
    assert predicted == pytest.approx(counted(lambda: model.model.visual(pixels, grid_thw=grid)), rel=SLACK)
    shown = flops.picture_tokens(size.tower, side)
    ids = torch.tensor([[70] * 20 + [model.config.image_token_id] * shown + [71] * 11])
    types = (ids == model.config.image_token_id).int()
    whole = counted(lambda: model(input_ids=ids, pixel_values=pixels, image_grid_thw=grid, mm_token_type_ids=types))
    length = 31 + shown
    assert predicted + flops.language(size.language, length) + flops.head(size.language, length) == pytest.approx(
        whole, rel=SLACK
    )
    matrices = sum(each.numel() for each in model.parameters() if each.ndim == 2)
    assert flops.judge_weights(size) == matrices, "all but biases, norms and the patch embedding"


@pytest.mark.slow
def test_the_picture_decoder_is_counted_at_the_released_size():
    config = JanusConfig(
        text_config={"model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1,
                     "num_attention_heads": 1, "vocab_size": 64},
        vision_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "projection_dim": 64},
        vq_config={"projection_dim": 64, "image_token_embed_dim": 64}, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.device("meta"):
        model = JanusForConditionalGeneration._from_config(config)
        tokens_BT = torch.zeros(1, 576, dtype=torch.int64)
    assert counted(lambda: model.decode_image_tokens(tokens_BT)) == pytest.approx(DECODE_FLOPS, rel=1e-3)


def test_weights_of_the_released_sizes_are_the_published_counts():
    billions = {name: flops.judge_weights(size) / 1e9 for name, size in JUDGES.items()}
    assert billions["qwen2.5-vl-7b"] == pytest.approx(8.29, rel=0.01)
    assert billions["qwen2.5-vl-32b"] == pytest.approx(33.5, rel=0.01)
    assert billions["qwen2.5-vl-72b"] == pytest.approx(73.4, rel=0.01)
    assert flops.generator_weights(GENERATORS["janus-pro-7b"]) / 1e9 == pytest.approx(7.0, rel=0.05)
    assert flops.generator_weights(GENERATORS["janus-pro-1b"]) / 1e9 == pytest.approx(1.7, rel=0.05)


def test_phases_by_hand():
    model = Language(width=100, inner=200, layers=10, heads=5, kv_heads=5, vocabulary=1000)
    weights = flops.language_weights(model)
    assert weights == 10 * (4 * 100**2 + 3 * 100 * 200) + 100 * 1000
    slow = Assumptions(gpu_flops=1e30, gpu_bandwidth=1e6, write_share=0.5).gpu("h100")
    given = Assumptions(write_share=0.5)
    phase = writing("x", model, weights, rows=8, batch=4, new=10, past=20, extra=0, gpu=slow, given=given)
    step_bytes = weights * 2 + 4 * (20 + 5) * 2 * 10 * 100 * 2
    assert phase.moved == 2 * 10 * step_bytes
    assert phase.seconds == pytest.approx(2 * 10 * step_bytes / 0.5e6)
    fast = Assumptions(gpu_flops=1e6, gpu_bandwidth=1e30).gpu("h100")
    bound = writing("x", model, weights, rows=8, batch=4, new=10, past=20, extra=0, gpu=fast, given=given)
    assert bound.seconds == pytest.approx(bound.flops / 0.4e6)
    assert reading("x", 8e5, fast, 0.4, calls=3).seconds == pytest.approx(2.0)


def test_more_gpus_take_less_time_and_the_same_work():
    one, many = (plan_judging(10_000, "qwen2.5-vl-7b", ["paper"], "h100", gpus, GIVEN) for gpus in (1, 64))
    assert many.seconds == pytest.approx(one.seconds / 64)
    assert (many.gpu_hours, many.flops) == (pytest.approx(one.gpu_hours), one.flops)
    assert one.calls == 10_000 * (3 + GIVEN.objects)
    assert one.bytes["pictures read"] == 10_000 * GIVEN.image_bytes
    big = plan_judging(10_000, "qwen2.5-vl-32b", ["paper"], "h200", 1, GIVEN)
    assert big.flops > 3.5 * one.flops


def test_the_paper_s_recipe_is_within_reach_of_the_paper_s_hours():
    """8 L40S for 48 hours (paper section 4): the model of costs leaves out what a trainer wastes, so it says less."""
    given = Assumptions(backward=2, judge_batch=32, tile=16)
    found = plan_training(
        "janus-pro-7b", "qwen2.5-vl-7b", ["paper"], steps=1000, prompts=8, group=16, gpu="l40s", gpus=8, judge_gpus=1,
        given=given,
    )  # fmt: skip
    assert 10 < found.seconds / 3600 < 48
    assert found.calls == 1000 * 128 * 8
    small = plan_training(
        "janus-pro-1b", "qwen2.5-vl-7b", ["paper"], steps=1000, prompts=8, group=16, gpu="l40s", gpus=8, judge_gpus=1,
        given=given,
    )  # fmt: skip
    assert small.seconds < found.seconds


def test_what_cannot_be_planned_is_one_line():
    with pytest.raises(UsageError, match=r"--judge qwen2-vl-7b: sizes unknown; did you mean 'qwen2\.5-vl-7b'"):
        judge_size("qwen2-vl-7b")
    assert judge_size("Qwen/Qwen2.5-VL-7B-Instruct") is JUDGES["qwen2.5-vl-7b"]
    assert generator_size("deepseek-ai/Janus-Pro-7B") is GENERATORS["janus-pro-7b"]
    with pytest.raises(UsageError, match="--gpu tpu: unknown"):
        GIVEN.gpu("tpu")
    with pytest.raises(UsageError, match="--judges aesthetic: a plan knows what"):
        questions(["aesthetic"], GIVEN)
    with pytest.raises(UsageError, match=r"needs 1\d\d GB, a GPU has 80"):
        plan_judging(10, "qwen2.5-vl-72b", ["prompt_image"], "h100", 8, GIVEN)
    with pytest.raises(UsageError, match="3 GPUs need a multiple"):
        plan_training("janus-pro-1b", "qwen2.5-vl-3b", ["paper"], steps=1, prompts=8, group=2, gpu="h100", gpus=3,
                      judge_gpus=1, given=GIVEN)  # fmt: skip
    with pytest.raises(UsageError, match="--set tile"):
        plan_training("janus-pro-7b", "qwen2.5-vl-3b", ["paper"], steps=1, prompts=8, group=16, gpu="l40s", gpus=1,
                      judge_gpus=1, given=Assumptions(tile=128))  # fmt: skip


def test_only_questions_with_a_picture_are_seen():
    without, shown = Question("semantic", 1, 100, 50, None), Question("prompt_image", 1, 100, 50, 384)
    size = JUDGES["qwen2.5-vl-7b"]
    blind, seeing = (judge_pictures(1, [question], size, H100, GIVEN)[0].flops for question in (without, shown))
    eyes = flops.tower(size.tower, (392, 392), size.language.width)
    assert seeing - blind == pytest.approx(
        eyes + flops.language(size.language, 296) - flops.language(size.language, 100)
    )


def test_the_command_prints_table_totals_and_assumptions():
    from gotr1_eval.cli.app import make_app

    command = ["plan", "--images", "10_000_000", "--judge", "qwen2.5-vl-7b", "--gpus", "64"]
    shown = CliRunner().invoke(make_app(), command)
    assert shown.exit_code == 0, shown.output
    assert "judging 10,000,000 pictures by prompt_image" in shown.output
    assert "10,000,000 judge calls" in shown.output
    assert "read_share=0.4" in shown.output.replace("\n", "")
    exact = CliRunner().invoke(make_app(), [*command, "--json", "--set", "read_share=0.8", "--set", "score_tokens=1"])
    found = json.loads(exact.output)
    assert found["assumed"]["read_share"] == 0.8
    assert found["judge_calls"] == 10_000_000
    assert sum(row["seconds"] for row in found["rows"]) / 64 == pytest.approx(found["seconds"])
    for wrong, line in (
        (["plan"], "either --images"),
        (["plan", "--images", "5", "--train", "janus-pro-1b"], "either --images"),
        (["plan", "--images", "5", "--set", "read_shar=1"], "did you mean 'read_share'"),
        (["plan", "--images", "5", "--set", "read_share=2"], "read_share"),
    ):
        with pytest.raises(UsageError, match=line):
            CliRunner().invoke(make_app(), wrong, catch_exceptions=False)


def test_amounts_read_well():
    assert [amount(value) for value in (0.5, 1234, 9.99e9, 2.5e18)] == ["0.5 ", "1.23 k", "9.99 G", "2.5 E"]
