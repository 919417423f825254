"""Tile and micro-batch from a given figure of free memory, and the estimates against what torch keeps and allocates."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaModel

from gotr1_eval.models.autoregressive.decoder import KVCache
from gotr1_eval.training_run import prepare_grpo
from tests.grpo_runs import settings
from tests.tiny_models import loaded_random
from training.fitting import (
    MICRO_BATCH,
    TILE,
    USED,
    Sizes,
    fitted,
    fitting_micro_batch,
    fitting_tile,
    kept_bytes,
    least,
)
from training.policies.janus import JanusPolicy
from training.settings import GrpoSettings

GB = 10**9
LARGE = {
    "janus_pro_1b": Sizes(24, 2048, 5632, 2048, 102_400, 576, 20_000_000),
    "janus_pro_7b": Sizes(30, 4096, 11_008, 4096, 102_400, 576, 80_000_000),
}
"""As the released configurations say, with the adapters of the shipped settings (rounded)."""
WEIGHTS = {"janus_pro_1b": 4 * GB, "janus_pro_7b": 15 * GB}


def auto(**changes) -> GrpoSettings:
    sampling = {"guidance": 3.0, "chain_cap": 12, "tile": "auto", **changes.pop("sampling", {})}
    return settings(**{"micro_batch": "auto", "sampling": sampling, **changes})


def test_a_tile_is_what_the_kv_cache_of_a_sample_leaves_room_for():
    """Against the allocated tensors of a cache of so many rows and positions."""
    policy = JanusPolicy(loaded_random(), auto().policy_sampling)
    sizes = Sizes.of(policy)
    positions = 128 + 12 + sizes.codes
    cache = KVCache(policy.language_model, 2, positions)
    sample = sum(each.numel() * each.element_size() for each in (*cache.keys, *cache.values))
    for count in (1, 3, 7):
        free = int(count * sample / USED) + 10
        assert fitting_tile(auto(), sizes, free) == count
        assert fitted(auto(), policy, free=free)[0] == count
        assert fitting_tile(auto(sampling={"guidance": 1.0}), sizes, free) == 2 * count
    assert fitting_tile(auto(), sizes, 0) == 1
    assert fitting_tile(auto(), sizes, 10**12) == TILE
    trees = auto(samples_per_prompt=9, pictures_per_chain=3)
    assert [fitting_tile(trees, sizes, int(count * sample / USED) + 10) for count in (1, 3, 7)] == [3, 3, 6]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recomputed", [False, True])
def test_what_layers_keep_is_what_torch_saves(dtype, recomputed):
    """Counted over the storages that the backward pass holds on to, of LLaMAs of several shapes."""
    for width, inner, heads, keys in ((64, 176, 4, 4), (128, 352, 4, 2), (128, 256, 8, 8)):
        config = LlamaConfig(
            hidden_size=width, intermediate_size=inner, num_hidden_layers=4, num_attention_heads=heads,
            num_key_value_heads=keys, vocab_size=16,
        )  # fmt: skip
        model = LlamaModel(config).to(dtype)
        if recomputed:
            getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
            model.train()
        weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
        kept: dict[int, torch.Tensor] = {}

        def pack(tensor, kept=kept, weights=weights):
            if (place := tensor.untyped_storage().data_ptr()) not in weights:
                kept[place] = tensor  # held, so that no other storage comes to lie there
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(inputs_embeds=torch.randn(1, 100, width, dtype=dtype, requires_grad=True), use_cache=False)
        measured = sum(each.untyped_storage().nbytes() for each in kept.values()) / 100
        lora = {"rank": 2, "alpha": 2} if dtype == torch.bfloat16 else None
        asked = auto(gradient_checkpointing=recomputed, dtype=str(dtype).removeprefix("torch."), lora=lora)
        sizes = Sizes(4, width, inner, keys * width // heads, 16, 0, 0)
        # The estimate has one layer more, which runs while the others wait.
        layer = kept_bytes(asked, Sizes(0, width, inner, sizes.keys, 16, 0, 0))
        # Beside the inputs of four layers the last norm counts, which is left out.
        assert (0.5 if recomputed else 0.9) <= (kept_bytes(asked, sizes) - layer) / measured <= 1.4


def test_a_micro_batch_leaves_room_for_gradients_moments_and_logits():
    sizes = LARGE["janus_pro_1b"]
    asked = auto(sampling={"chain_cap": 600}, gradient_checkpointing=True, dtype="bfloat16", lora={"rank": 32})
    token = 2 * (24 * 2048 + 4 * 5632 + 2 * 2048 + 11 * 2048)
    sequence = 2 * (128 + 600 + 576) * token
    fixed = 12 * 20_000_000 + 1024 * 102_400 * 16
    assert fitting_micro_batch(asked, sizes, int((fixed + 5 * sequence) / USED) + 10) == 5
    assert fitting_micro_batch(asked, sizes, int((fixed + 5 * sequence) / USED) - 10) == 4
    detached = asked.model_copy(update={"image_logprob": "guided_detached"})
    assert fitting_micro_batch(detached, sizes, int((fixed + 5 * sequence) / USED) + 10) == 10
    assert fitting_micro_batch(asked, sizes, 0) == 1


@pytest.mark.parametrize("name", [*LARGE])
def test_the_shipped_numbers_fit_the_card_that_their_files_name(name):
    text = (Path(__file__).parents[2] / f"configs/{name}.toml").read_text()
    assert "80 GB" in text
    asked = GrpoSettings.model_validate(tomllib.loads(text))
    free = asked.model_copy(update={"micro_batch": "auto"})
    assert asked.sampling.tile <= fitting_tile(free, LARGE[name], 80 * GB - WEIGHTS[name])
    assert asked.micro_batch <= fitting_micro_batch(free, LARGE[name], 80 * GB - WEIGHTS[name])


def test_given_numbers_stay_and_a_processor_has_fixed_ones():
    policy = JanusPolicy(loaded_random(), auto().policy_sampling)
    assert fitted(settings(), policy, free=0) == (4, 8)
    assert fitted(auto(), policy) == (TILE, MICRO_BATCH)
    assert least([(5, 2), (3, 4)]) == (3, 2)


@pytest.mark.slow
def test_a_run_goes_on_with_what_it_began_with(tmp_path):
    small = {
        "ckpt": "tiny-janus", "rewards": "without_models", "prompts": [{"shapes": ["spatial"]}], "steps": 1,
        "prompts_per_step": 1, "samples_per_prompt": 2, "evaluation": "none", "beta": 0.0, "device": "cpu",
    }  # fmt: skip
    prepare_grpo(GrpoSettings.model_validate(small), tmp_path)
    told = json.loads((tmp_path / "training.json").read_text())
    assert (told["sampling"]["tile"], told["micro_batch"]) == (TILE, MICRO_BATCH)
    told["sampling"]["tile"], told["micro_batch"] = 48, 3
    (tmp_path / "training.json").write_text(json.dumps(told))
    again = prepare_grpo(GrpoSettings.model_validate(small), tmp_path)
    assert (again.tile, again.micro_batch) == (48, 3)
