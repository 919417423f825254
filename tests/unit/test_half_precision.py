"""Half precision: sampler and trainer round alike, adapters keep their share, and float32 keeps every bit."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from gotr1_eval.core.types import Prompt
from gotr1_eval.models.autoregressive.adapters import with_adapters
from gotr1_eval.models.autoregressive.decoder import Decoder, KVCache
from gotr1_eval.models.autoregressive.fused import fused_layer, prepare_language_model
from gotr1_eval.models.autoregressive.heads import float32_head
from gotr1_eval.models.checkpoint import quiet
from tests.grpo_runs import trainer
from tests.perf.decode_calls import add_adapters, calls_of_a_step, meta_model
from tests.tiny_models import loaded_random
from training.accelerating import computing
from training.policies import Sampling
from training.policies.janus import JanusPolicy, read_policy
from training.rollout import generate
from training.tiny.shapes_corpus import examples

GUIDANCE = 5.0


def rollout(policy: JanusPolicy, seed: int, count: int = 24):
    prompts = [Prompt(example.prompt) for example in examples(count, seed)]
    return generate(policy, prompts, range(1000 * seed, 1000 * seed + count), chain_cap=200, tile=count)


def drifted(policy: JanusPolicy, seed: int) -> float:
    """Share of the image tokens whose ratio is outside 0.8 to 1.2 before any update."""
    actions = rollout(policy, seed).actions
    with torch.no_grad():
        ratio_BT = (policy(actions).image.log_probs_BS - actions.sampled_image_BT).exp()
    return float(((ratio_BT < 0.8) | (ratio_BT > 1.2)).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "most"), [(0, 0.01), (1, 0.02)])
def test_drift_of_the_shipped_model_in_bfloat16(seed: int, most: float):
    policy = read_policy("tiny-janus", "cpu", "bfloat16", Sampling(guidance=GUIDANCE))
    assert drifted(policy, seed) <= most


@pytest.mark.slow
def test_drift_under_autocast():
    policy = read_policy("tiny-janus", "cpu", "float32", Sampling(guidance=GUIDANCE))
    policy.requires_grad_(True)
    with computing(True, policy.model.device):
        assert 0 < drifted(policy, 0) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("planted", ["head", "norm"])
def test_planted_differences_are_seen(planted: str, monkeypatch: pytest.MonkeyPatch):
    """Heads of half precision in both drift; and a norm that the sampler alone has."""
    policy = read_policy("tiny-janus", "cpu", "bfloat16", Sampling(guidance=GUIDANCE))
    if planted == "head":
        plain = lambda head: lambda states_ND: head(states_ND).float()  # noqa: E731
        monkeypatch.setattr("gotr1_eval.models.janus.sampling.float32_head", plain)
        monkeypatch.setattr("training.policies.janus.float32_head", plain)
        assert drifted(policy, 0) > 0.03
        return
    actions = rollout(policy, 0).actions
    language_model = policy.model.model.language_model
    for layer in language_model.layers:
        for name in ("input_layernorm", "post_attention_layernorm"):
            once = getattr(layer, name)
            twice = LlamaRMSNorm(len(once.weight), once.eps)
            twice.weight = once.weight
            setattr(layer, name, twice)
    with torch.no_grad():
        gap_BT = policy(actions).image.log_probs_BS - actions.sampled_image_BT
    ratio_BT = gap_BT.exp()
    assert float(((ratio_BT < 0.8) | (ratio_BT > 1.2)).float().mean()) > 0.02


@pytest.mark.parametrize("rows", [1, 5])
def test_fused_products_are_the_layers_bit_for_bit(rows: int):
    layer = loaded_random().model.model.language_model.layers[0]
    fused = fused_layer(layer, torch.float32)
    states = torch.randn(rows, 1, 32, generator=torch.Generator().manual_seed(0))
    attention, mlp = layer.self_attn, layer.mlp
    apart = torch.cat([attention.q_proj(states), attention.k_proj(states), attention.v_proj(states)], dim=-1)
    assert torch.equal(fused.qkv(states), apart)
    assert torch.equal(fused.gate_up(states), torch.cat([mlp.gate_proj(states), mlp.up_proj(states)], dim=-1))
    assert torch.equal(fused.out(states), attention.o_proj(states))


def test_a_prepared_model_is_the_same_and_is_read_without_a_copy():
    model = loaded_random().model
    prepared = copy.deepcopy(model)
    prepare_language_model(prepared.model.language_model)
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, prepared(input_ids=ids).logits)
    assert all(torch.equal(each, prepared.state_dict()[name]) for name, each in model.state_dict().items())
    layer = prepared.model.language_model.layers[1]
    with torch.no_grad():
        layer.self_attn.v_proj.weight += 1.0  # as an optimizer moves it
    fused = fused_layer(layer, torch.float32)
    assert fused.qkv.weight_OD.data_ptr() == layer.self_attn.q_proj.weight.data_ptr()
    assert torch.equal(fused.qkv.weight_OD[-32:], layer.self_attn.v_proj.weight)


def test_a_prepared_model_is_saved_and_read_as_it_is(tmp_path):
    prepared = loaded_random().model
    prepare_language_model(prepared.model.language_model)
    with quiet():
        prepared.save_pretrained(tmp_path)
        again = type(prepared).from_pretrained(tmp_path)
    assert all(torch.equal(each, again.state_dict()[name]) for name, each in prepared.state_dict().items())


def test_the_decoder_reads_adapters_that_lie_beside_the_weights():
    """In bfloat16, as peft's own modules compute them, and in one pair of factors a product."""
    model = loaded_random().model.bfloat16()
    targets = r"model\.language_model\.layers\.\d+\.(self_attn|mlp)\.(q_proj|v_proj|o_proj|up_proj|down_proj)"
    with quiet():
        adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(0))
    layer = model.model.language_model.layers[0]
    states = torch.randn(9, 1, 32, generator=torch.Generator().manual_seed(1)).bfloat16()

    @torch.no_grad()
    def worst(dtype: torch.dtype) -> float:
        fused, attention = fused_layer(layer, dtype), layer.self_attn
        apart = [linear(states) for linear in (attention.q_proj, attention.k_proj, attention.v_proj)]
        return float((fused.qkv(states) - torch.cat(apart, dim=-1)).abs().max())

    assert fused_layer(layer, torch.bfloat16).qkv.down_RD is not None
    assert worst(torch.bfloat16) <= 0.04, "a last digit of bfloat16 at most"
    with adapted.disable_adapter():
        assert fused_layer(layer, torch.bfloat16).qkv.down_RD is None
        assert worst(torch.bfloat16) == 0.0


def test_adapters_from_a_folder_are_one_product_too(tmp_path):
    base = loaded_random().model
    with quiet():
        adapted = get_peft_model(
            copy.deepcopy(base),
            LoraConfig(r=4, lora_alpha=8, target_modules=r".*layers\.\d+\.self_attn\.(q_proj|v_proj)"),
        )
    for weight in adapted.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.2, generator=torch.Generator().manual_seed(0))
    with quiet():
        adapted.save_pretrained(tmp_path)
    half = with_adapters(base.bfloat16(), tmp_path)
    layer = half.model.language_model.layers[0]
    states = torch.randn(9, 1, 32, generator=torch.Generator().manual_seed(1)).bfloat16()
    attention = layer.self_attn
    apart = torch.cat([attention.q_proj(states), attention.k_proj(states), attention.v_proj(states)], dim=-1)
    found = fused_layer(layer, torch.bfloat16).qkv(states)
    assert torch.equal(found, apart)


def test_heads_give_float32_of_half_precision():
    head = loaded_random().model.model.generation_head
    states = torch.randn(7, 32, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = copy.deepcopy(head).bfloat16().float()(states.float())
    half = copy.deepcopy(head).bfloat16()
    assert torch.allclose(float32_head(half)(states), exact, atol=1e-5)
    assert not torch.allclose(half(states).float(), exact, atol=1e-3)
    # Under autocast: the same from weights of float32, and gradients come back to them.
    master = copy.deepcopy(head).requires_grad_(True)
    with computing(True, torch.device("cpu")):
        found = float32_head(master)(states.float())
    assert found.dtype == torch.float32
    assert torch.allclose(found, exact, atol=1e-5)
    found.square().sum().backward()
    assert master.vision_head.weight.grad is not None
    assert torch.equal(float32_head(head)(states.float()), head(states.float()))


def test_a_decoder_under_autocast_keeps_its_cache_in_bfloat16():
    model = loaded_random().model.model.language_model
    with computing(True, torch.device("cpu")):
        cache = KVCache(model, 1, 16)
        states = Decoder(model, cache, 1).prefill([torch.randn(3, 32)])
    assert cache.keys[0].dtype == torch.bfloat16
    assert states.dtype == torch.float32


def test_full_training_in_bfloat16_moves_float32_weights(tmp_path):
    one = trainer(tmp_path, compute="bfloat16", learning_rate=1e-5)
    before = {name: each.detach().clone() for name, each in one.learner.policy.named_parameters()}
    found = one.step(0)
    assert found["image/importance"] == pytest.approx(1.0, abs=0.05)
    assert found["image/drift"] > 0
    now = dict(one.learner.policy.named_parameters())
    moved = [name for name, each in before.items() if not torch.equal(each, now[name])]
    assert moved
    assert {now[name].dtype for name in moved} == {torch.float32}
    largest = max(float((now[name].detach() - before[name]).abs().max()) for name in moved)
    assert 0 < largest < 2e-5, "steps that bfloat16 weights would round away"


_SWITCHES = """
import torch
from gotr1_eval.models.local_model import ieee_float32
{host}
kinds = torch.backends.cuda.matmul, torch.backends.cudnn.conv
state = lambda: [kind.fp32_precision == "tf32" for kind in kinds]
before = state()
with ieee_float32():
    assert state() == [False, False], state()
assert state() == before, (before, state())
assert before == {before}, before
"""


@pytest.mark.parametrize(
    ("host", "before"),
    [
        ("", [False, True]),
        ("torch.set_float32_matmul_precision('high')", [True, True]),
        ("torch.backends.cuda.matmul.fp32_precision = torch.backends.cudnn.conv.fp32_precision = 'tf32'", [True, True]),
    ],
    ids=["torch's defaults", "old switches", "new switches"],
)
def test_tf32_is_off_inside_and_as_it_was_outside(host: str, before: list[bool]):
    """In a process of its own: switches of another process are nobody's business here."""
    script = _SWITCHES.format(host=host, before=before)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_training_and_judging_are_in_ieee_float32(tmp_path, monkeypatch):
    switches = torch.backends.cudnn.conv
    before = switches.fp32_precision
    one = trainer(tmp_path, steps=1)
    seen, step = [], one.step
    one.step = lambda number: seen.append(switches.fp32_precision) or step(number)
    one.train()
    assert before not in seen
    assert switches.fp32_precision == before


@pytest.mark.slow
@pytest.mark.parametrize(("size", "most"), [("1b", 500), ("7b", 600)])
def test_calls_of_a_decode_step(size: str, most: int):
    assert calls_of_a_step(meta_model(size)).total() <= most


@pytest.mark.slow
def test_calls_of_a_decode_step_with_adapters_of_bfloat16():
    model = meta_model("7b")
    add_adapters(model)
    assert calls_of_a_step(model).total() <= 850
