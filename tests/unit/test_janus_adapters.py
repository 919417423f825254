"""LoRA adapters from files: every tensor has its place or is refused, and half precision rounds none of them away."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.models.autoregressive.adapted_linear import AdaptedLinear
from gotr1_eval.models.autoregressive.adapters import with_adapters
from gotr1_eval.models.autoregressive.choosing import Choice
from gotr1_eval.models.checkpoint import quiet
from gotr1_eval.models.janus.loading import load_checkpoint
from gotr1_eval.models.janus.original_names import NAMINGS, source_of
from gotr1_eval.models.janus.sampling import sample_chains
from gotr1_eval.models.janus.sequence import encode_prompt
from tests.tiny_models import loaded_random, random_checkpoint

START = "base_model.model."
LAYER = "model.language_model.layers.1.self_attn.v_proj"
TARGETS = r"model\.language_model\.layers\.\d+\.self_attn\.(q_proj|v_proj)"


@pytest.fixture(scope="module")
def base():
    return loaded_random().model


@pytest.fixture(scope="module")
def plain(base, tmp_path_factory):
    return saved(base, tmp_path_factory.mktemp("adapters") / "peft")


def saved(base, folder: Path, std: float = 0.1, **config) -> SimpleNamespace:
    """Adapters with random factors: their folder, tensors and configuration."""
    asked = {"r": 4, "lora_alpha": 8, "target_modules": TARGETS, **config}
    torch.manual_seed(0)
    with quiet():
        model = get_peft_model(copy.deepcopy(base), LoraConfig(**asked))
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=std)
        if "magnitude" in name:
            weight.data.abs_().add_(0.5)
    with quiet():
        model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    return SimpleNamespace(folder=folder, tensors=load_file(folder / "adapter_model.safetensors"), config=config)


def rewritten(given, folder: Path, tensors=None, **config) -> Path:
    shutil.copytree(given.folder, folder)
    save_file(given.tensors if tensors is None else tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({**given.config, **config}))
    return folder


def weights(base, folder: Path) -> dict[str, torch.Tensor]:
    return with_adapters(copy.deepcopy(base), folder, NAMINGS).state_dict()


def product(given, layer: str) -> torch.Tensor:
    down, up = (given.tensors[f"{START}{layer}.lora_{part}.weight"] for part in "AB")
    return up @ down


def refused(base, folder: Path, *words: str) -> None:
    with pytest.raises(DataError) as caught:
        weights(base, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def original(name: str) -> str:
    """A layer's tensor under the name that DeepSeek's classes give the layer."""
    layer, _, rest = name.removeprefix(START).partition(".lora_")
    return f"{START}{source_of(f'{layer}.weight').name.removesuffix('.weight')}.lora_{rest}"


RENAMED = {
    "DeepSeek's": original,
    "its language model alone": lambda name: original(name).replace("language_model.model.", "model."),
    "layers alone": lambda name: original(name).replace("language_model.model.", ""),
    "data parallel": lambda name: name.replace(START, f"{START}module."),
    "compiled": lambda name: original(name).replace(START, f"{START}_orig_mod."),
    "a state dict": lambda name: name.removeprefix(START).replace(".weight", ".default.weight"),
}


@pytest.mark.parametrize("naming", RENAMED)
def test_adapters_are_added_under_whatever_name(base, plain, tmp_path, naming):
    tensors = {RENAMED[naming](name): tensor for name, tensor in plain.tensors.items()}
    targets = TARGETS if naming in ("data parallel", "a state dict") else ["q_proj", "v_proj"]
    found = weights(base, rewritten(plain, tmp_path / "other", tensors, target_modules=targets))
    before = base.state_dict()
    changed = {name for name in before if not torch.equal(found[name], before[name])}
    assert changed == {f"model.language_model.layers.{n}.self_attn.{p}_proj.weight" for n in (0, 1) for p in "qv"}
    expected = before[f"{LAYER}.weight"] + 8 / 4 * product(plain, LAYER)
    assert torch.allclose(found[f"{LAYER}.weight"], expected, atol=1e-6)


def test_native_names_may_not_mean_other_layers(base, plain, tmp_path):
    """On transformers' classes `q_proj` is also the vision tower's, whose adapters are then missing."""
    refused(base, rewritten(plain, tmp_path / "other", target_modules=["q_proj", "v_proj"]), "vision_model", "adapter")


def without(given, *parts: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in given.tensors.items() if not any(part in name for part in parts)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda given: {"tensors": without(given, "layers.1")}, ["2 layers", "have no adapter", "layers.1"]),
        (lambda given: {"tensors": without(given, "layers.1.self_attn.v_proj.lora_B")}, ["1 tensors are missing"]),
        (lambda given: {"tensors": without(given, "lora_")}, ["4 layers", "have no adapter"]),
        (lambda given: {"target_modules": r".*language_model.*\.q_proj"}, ["not named by target_modules", "v_proj"]),
        (lambda given: {"use_dora": True}, ["missing", "lora_magnitude_vector"]),
        (lambda given: {"r": 8}, ["another shape"]),
        (lambda given: {"rank_pattern": {"v_proj": 2}}, ["another shape", "v_proj"]),
        (lambda given: {"modules_to_save": ["lm_head"]}, ["missing", "lm_head"]),
        (lambda given: {"brand_new_option": True}, ["brand_new_option = true"]),
        (lambda given: {"layer_replication": [[0, 1]]}, ["layer_replication"]),
        (lambda given: {"revision": "v2"}, ["revision"]),
        (lambda given: {"init_lora_weights": "pissa"}, ["pissa"]),
        (lambda given: {"peft_type": "LOHA"}, ["LORA", "LOHA"]),
        (lambda given: {"target_modules": 3}, ["target_modules", "names of layers"]),
    ],
)
def test_what_does_not_fit_is_refused(base, plain, tmp_path, change, words):
    refused(base, rewritten(plain, tmp_path / "other", **change(plain)), *words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{START}model.language_model.layers.99.self_attn.q_proj.lora_A.weight", "layers.99"),
        (f"{START}model.language_model.layers.1.mlp.up_proj.lora_A.weight", "not named by target_modules"),
        (f"{START}lm_head.weight", "no place"),
        (f"{START}{LAYER}.lora_C.weight", "no place"),
        (f"{START}module.{LAYER}.lora_A.weight", "twice"),
    ],
)
def test_a_surplus_tensor_is_refused(base, plain, tmp_path, name, words):
    surplus = {**plain.tensors, name: plain.tensors[f"{START}{LAYER}.lora_A.weight"].clone()}
    refused(base, rewritten(plain, tmp_path / "other", surplus), words)


def test_a_file_that_is_not_there(base, tmp_path):
    given = saved(base, tmp_path / "peft")
    (given.folder / "adapter_model.safetensors").unlink()
    refused(base, given.folder, "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"alpha_pattern": {"layers.1.self_attn.v_proj": 32}}, 32 / 4),
        ({"rank_pattern": {"v_proj": 2}}, 8 / 2),
        ({"use_rslora": True}, 8 / 4**0.5),
        ({"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"v_proj": 5}, "use_rslora": True}, 5 / 2**0.5),
    ],
)
def test_ranks_and_scales_are_followed(base, tmp_path, config, scale):
    given = saved(base, tmp_path / "peft", **config)
    change = weights(base, given.folder)[f"{LAYER}.weight"] - base.state_dict()[f"{LAYER}.weight"]
    assert torch.allclose(change, scale * product(given, LAYER), atol=1e-6)


def test_dora_scales_every_row_to_its_magnitude(base, tmp_path):
    given = saved(base, tmp_path / "peft", use_dora=True)
    moved = base.state_dict()[f"{LAYER}.weight"] + 2 * product(given, LAYER)
    magnitude = given.tensors[f"{START}{LAYER}.lora_magnitude_vector"]
    expected = magnitude[:, None] * moved / moved.norm(dim=1, keepdim=True)
    assert torch.allclose(weights(base, given.folder)[f"{LAYER}.weight"], expected, atol=1e-5)
    with pytest.raises(UsageError, match="dtype to float32"):
        with_adapters(copy.deepcopy(base).bfloat16(), given.folder)


@pytest.mark.parametrize("naming", ["native", "DeepSeek's"])
def test_modules_saved_whole_replace_the_models(base, tmp_path, naming):
    given = saved(base, tmp_path / "peft", modules_to_save=["lm_head", "generation_head"])
    tensors, asked, targets = given.tensors, ["lm_head", "generation_head"], TARGETS
    if naming != "native":
        asked, targets = ["lm_head", "gen_head"], ["q_proj", "v_proj"]
        whole = {n: source_of(n.removeprefix(START)).name for n in tensors if "lora_" not in n}
        tensors = {whole.get(n, original(n)): tensor for n, tensor in tensors.items()}
    folder = rewritten(given, tmp_path / "other", tensors, modules_to_save=asked, target_modules=targets)
    found = weights(base, folder)
    for name in ("lm_head.weight", "model.generation_head.proj_out.weight", "model.generation_head.proj_out.bias"):
        assert torch.equal(found[name], given.tensors[START + name])
        assert not torch.equal(found[name], base.state_dict()[name])


def test_biases_are_taken_over(base, tmp_path):
    targets = r"model\.generation_head\.(proj_out|vision_head)"
    given = saved(base, tmp_path / "peft", bias="lora_only", target_modules=targets)
    found = weights(base, given.folder)
    name = "model.generation_head.vision_head.bias"
    assert torch.equal(found[name], given.tensors[f"{START}model.generation_head.vision_head.base_layer.bias"])
    assert not torch.equal(found[name], base.state_dict()[name])


@torch.no_grad()
def kept_share(layer: torch.nn.Module, before: torch.nn.Module, change: torch.Tensor) -> float:
    """How much of the change of a layer's weights its outputs show, by regression over many inputs."""
    states = torch.randn(4096, change.shape[1], generator=torch.Generator().manual_seed(0)).bfloat16()
    seen, wanted = (layer(states) - before(states)).float(), states.float() @ change.T
    return float((seen * wanted).sum() / wanted.square().sum())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_does_not_round_a_small_change_away(base, tmp_path, dtype):
    given = saved(base, tmp_path / "peft", std=1.3e-3)
    change = 2 * product(given, LAYER)
    assert 5e-6 < change.square().mean().sqrt() < 9e-6
    half = copy.deepcopy(base).to(dtype)
    before = copy.deepcopy(half.get_submodule(LAYER))
    layer = with_adapters(half, given.folder).get_submodule(LAYER)
    assert isinstance(layer, AdaptedLinear)
    layer, before = (copy.deepcopy(each).to(torch.bfloat16) for each in (layer, before))
    assert 0.9 < kept_share(layer, before, change) < 1.1
    merged = copy.deepcopy(before)
    merged.weight.data += change.to(merged.weight)
    assert kept_share(merged, before, change) < 0.5, "the case is too easy"


def test_adapters_on_adapters_of_half_precision(base, tmp_path):
    """As training that goes on from adapters leaves them: both count, in the sampler as in the weights of float32."""
    first, second = (saved(base, tmp_path / name, std=std) for name, std in (("one", 0.1), ("two", 0.2)))
    half = with_adapters(with_adapters(copy.deepcopy(base).bfloat16(), first.folder), second.folder)
    full = with_adapters(with_adapters(copy.deepcopy(base), first.folder), second.folder)
    states = torch.randn(64, 32)
    expected = full.get_submodule(LAYER)(states)
    found = half.get_submodule(LAYER)(states.bfloat16()).float()
    assert (found - expected).norm() / expected.norm() < 0.01


def test_a_folder_of_adapters_is_sampled_in_half_precision(tmp_path):
    whole = random_checkpoint(tmp_path / "base")
    cpu = torch.device("cpu")
    loaded = load_checkpoint(whole, device=cpu, dtype=torch.float32)
    given = saved(loaded.model, tmp_path / "peft", std=0.5)
    folder = rewritten(given, tmp_path / "named", base_model_name_or_path=str(whole))
    row = encode_prompt(loaded.tokenizer, "a red circle", loaded.special)
    chains = {}
    for name, at in (("base", whole), ("adapted", folder)):
        for dtype in (torch.float32, torch.bfloat16):
            model = load_checkpoint(at, device=cpu, dtype=dtype).model
            [chain] = sample_chains(model, [row], [0], loaded.special, cap=8, choice=Choice())
            chains[name, dtype] = torch.tensor(chain.log_probs[:1])
    change = chains["adapted", torch.float32] - chains["base", torch.float32]
    assert change.abs() > 0.1
    assert torch.allclose(chains["adapted", torch.bfloat16], chains["adapted", torch.float32], atol=0.05)
