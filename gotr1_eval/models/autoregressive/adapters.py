"""LoRA adapters in peft's layout on top of a generator, as `gotr1-eval train` and other trainers write them.

peft reads leniently: tensors of other names are ignored, those that are missing keep their first values, and options of
a newer version are dropped, each with a warning at most; what is sampled then is the model without its training. Here
every tensor must have its place, every place its tensor, and every option its meaning.

A trainer names the tensors after the model as it holds it. A family says which ways of naming its
layers it knows; the marks of wrappers in between (`module.` of data parallelism, `_orig_mod.` of torch.compile, ...)
say nothing.

In float32 the adapters are added into the weights. bfloat16 and float16 would round most of that away (of a change of
7e-6 beside weights of 0.02 a fifth is left): there they stay beside the weights; see `AdaptedLinear`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.autoregressive.adapted_linear import AdaptedLinear, balanced
from gotr1_eval.models.autoregressive.fused import SAME_INPUT
from gotr1_eval.models.autoregressive.weight_files import Source, tensors_of
from gotr1_eval.models.checkpoint import first_names, quiet

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
Naming = Callable[[str], Source | None]
"""From the name of a model's tensor to its name in a file; None where the file cannot have it."""
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "base_layer"}
_LOW_RANK = re.compile(r"(?P<layer>.+)\.(?P<part>lora_(?:A|B|embedding_A|embedding_B|magnitude_vector))(?P<rest>\..+)?")
_MEANT = {
    "r", "lora_alpha", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "rank_pattern",
    "alpha_pattern", "use_rslora", "use_dora", "lora_bias", "bias", "modules_to_save", "lora_dropout", "peft_type",
    "task_type", "inference_mode", "auto_mapping", "base_model_name_or_path", "peft_version", "runtime_config",
    "init_lora_weights",
}  # fmt: skip
"""Options of peft that are followed here, or that matter to training alone."""
_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""First values of adapters that leave the weights under them alone; others (`pissa`, `olora`) change those, too."""


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds adapters instead of a whole model."""
    return (folder / CONFIG).is_file()


def base_of(folder: Path) -> str:
    """The checkpoint that the adapters belong on: what `--ckpt` would name.

    Raises:
        DataError: the folder does not say.
    """
    base = _raw_config(folder).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        path = folder / CONFIG
        raise DataError("it does not name the checkpoint under the adapters (base_model_name_or_path)", path=path)
    return base


def with_adapters(model: Any, folder: Path, namings: Sequence[Naming] = (Source,)) -> Any:  # noqa: ANN401
    """The model with the adapters in it: added into weights of float32, beside those of half precision.

    Args:
        model: of transformers, which peft wraps.
        namings: the ways in which the file may name the model's layers.

    Raises:
        DataError: the adapters cannot be read, a tensor is missing, surplus or misshapen, or an option is unknown.
        UsageError: they are of a kind that half precision has no place for.
    """
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from peft.tuners.lora import LoraLayer

    config = _read_config(folder)
    file = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        raise DataError(f"no adapters beside it; expected {' or '.join(WEIGHTS)}", path=folder / CONFIG)
    stored = _Stored.read(file, model, namings)
    _check_layers(stored, config, file)
    with torch.no_grad():
        for name, tensor in _whole_weights(stored, config, model, file).items():
            model.get_parameter(name).copy_(tensor)
    with torch.random.fork_rng(), quiet():
        adapted = get_peft_model(model, _native_config(stored, config))
        wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False)
        _compare({name: tensor.shape for name, tensor in wanted.items()}, stored.low_rank, file)
        set_peft_model_state_dict(adapted, stored.low_rank)
    layers = {name: each for name, each in adapted.get_base_model().named_modules() if isinstance(each, LoraLayer)}
    if all(layer.get_base_layer().weight.dtype == torch.float32 for layer in layers.values()):
        with quiet():
            return adapted.merge_and_unload()
    beside = {name: _factors(layer, name) for name, layer in layers.items()}
    with quiet():
        bare = adapted.unload()
    for names in {_same_input(bare, name) for name in beside}:
        _put_beside(bare, names, beside)
    return bare


def _same_input(model: Any, name: str) -> tuple[str, ...]:  # noqa: ANN401
    """The layers that read the same input as this one, itself included."""
    parent, _, last = name.rpartition(".")
    group = next((group for group in SAME_INPUT if last in group), (last,))
    there = [each for each in group if hasattr(model.get_submodule(parent), each)]
    return tuple(f"{parent}.{each}".lstrip(".") for each in there)


def _put_beside(model: Any, names: Sequence[str], factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:  # noqa: ANN401
    """Adapters beside the weights of layers of the same input: all get the factors `down` of all, so that a step can
    make one product of them, and zeros where a factor `up` is another's."""
    found = {name: balanced(*factors[name]) for name in names if name in factors}
    downs_RD = torch.cat([down_RD for down_RD, _ in found.values()])
    for name in names:
        layer = model.get_submodule(name)
        ups = [
            up_OR if each == name else up_OR.new_zeros(len(layer.weight), up_OR.shape[1])
            for each, (_, up_OR) in found.items()
        ]
        model.set_submodule(name, AdaptedLinear(layer, downs_RD, torch.cat(ups, dim=1)))


def _factors(layer: Any, name: str) -> tuple[Tensor, Tensor]:  # noqa: ANN401
    """The two factors of an adapter of peft's in float32, the scale in the second."""
    plain = isinstance(layer.get_base_layer(), nn.Linear) and not layer.use_dora.get("default")
    if not plain or layer.lora_bias.get("default"):
        raise UsageError(
            f"the adapters of {name} have no place beside weights of half precision (DoRA, a bias of their own, or no "
            "linear layer): set dtype to float32"
        )
    up_OR = layer.lora_B["default"].weight.detach().float() * layer.scaling["default"]
    return layer.lora_A["default"].weight.detach().float(), up_OR


def _raw_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"not an adapter's configuration: {one_line(error)}", path=path) from None
    if not isinstance(config, dict):
        raise DataError(f"not an adapter's configuration: expected an object, got {type(config).__name__}", path=path)
    return config


def _read_config(folder: Path) -> Any:  # noqa: ANN401
    """peft's configuration; raises DataError for an option that would not be followed."""
    from peft import LoraConfig

    raw, path = _raw_config(folder), folder / CONFIG
    if raw.get("peft_type") != "LORA":
        raise DataError(f"expected adapters of peft_type 'LORA', got {raw.get('peft_type')!r}", path=path)
    usual = {each.name: _default(each) for each in fields(LoraConfig)}
    strange = [
        name for name, value in raw.items()
        if name not in _MEANT and value != usual.get(name) and value not in (None, False, "", {}, [])
    ]  # fmt: skip
    strange = [name for name in strange if (name, raw[name]) != ("revision", "main")]
    if strange:
        told = ", ".join(f"{name} = {one_line(json.dumps(raw[name]), 40)}" for name in sorted(strange)[:3])
        raise DataError(f"options that are not known here and would be ignored: {told}", path=path)
    if not isinstance(raw.get("target_modules"), str | list):
        told = one_line(json.dumps(raw.get("target_modules")), 40)
        raise DataError(f"target_modules: expected names of layers, got {told}", path=path)
    if raw.get("init_lora_weights", True) not in _PLAIN_STARTS:
        raise DataError(
            f"init_lora_weights = {raw['init_lora_weights']!r} has changed the weights under the adapters, too; save "
            "them converted to plain LoRA (peft's path_initial_model_for_weight_conversion)",
            path=path,
        )
    try:
        return LoraConfig(**{name: value for name, value in raw.items() if name in _MEANT & usual.keys()})
    except (TypeError, ValueError) as error:
        raise DataError(f"not an adapter's configuration: {one_line(error)}", path=path) from None


def _default(each: Any) -> Any:  # noqa: ANN401 - a dataclass's field
    if each.default is not MISSING:
        return each.default
    return each.default_factory() if each.default_factory is not MISSING else None


@dataclass(frozen=True, slots=True)
class _Stored:
    """A file's tensors, and how its names relate to the model's.

    Attributes:
        low_rank: the adapters, under the names that peft gives them on the model.
        others: whole weights, under the file's names without marks.
        surplus: names of tensors that belong to no layer.
        layers: the file's name of every layer of the model -> the model's own.
        weights: likewise for every weight: the model's tensors that it makes.
    """

    low_rank: dict[str, Tensor]
    others: dict[str, Tensor]
    surplus: list[str]
    layers: dict[str, str]
    weights: dict[str, list[tuple[str, Source]]]

    @classmethod
    def read(cls, file: Path, model: Any, namings: Sequence[Naming]) -> _Stored:  # noqa: ANN401
        """Every tensor of the file, by the way of naming that explains most of its layers."""
        tensors: dict[str, Tensor] = {}
        for stored in tensors_of(file):
            name = _unmarked(stored.name)
            if name in tensors:
                raise DataError(f"{name} is stored twice, once in a wrapper", path=file)
            tensors[name] = stored.read()
        split = {name: match for name in tensors if (match := _LOW_RANK.fullmatch(name))}
        named = {match["layer"] for match in split.values()}
        ways = [_naming(model, naming) for naming in namings]
        layers, weights = max(ways, key=lambda way: len(named & way[0].keys()))
        low_rank, others, surplus = dict[str, Tensor](), dict[str, Tensor](), list[str]()
        for name, tensor in tensors.items():
            match = split.get(name)
            if match is None:
                others[name] = tensor
            elif match["layer"] in layers:
                part = match["part"] + (match["rest"] or "").replace(".default", "", 1)
                # The magnitude's own module is a detail of newer versions, which files do not show.
                part = part.replace("magnitude_vector.weight", "magnitude_vector")
                low_rank[f"base_model.model.{layers[match['layer']]}.{part}"] = tensor
            else:
                surplus.append(name)
        return cls(low_rank, others, surplus, layers, weights)

    @property
    def adapted(self) -> set[str]:
        """The model's layers that have any tensor of an adapter."""
        return {name.removeprefix("base_model.model.").rpartition(".lora_")[0] for name in self.low_rank}


def _unmarked(name: str) -> str:
    """A tensor's name without what wrappers put into it."""
    parts = [part for part in name.removeprefix("base_model.model.").split(".") if part not in _WRAPPERS]
    return ".".join(parts).replace(".modules_to_save.default.", ".").replace(".modules_to_save.", ".")


def _naming(model: Any, naming: Naming) -> tuple[dict[str, str], dict[str, list[tuple[str, Source]]]]:  # noqa: ANN401
    """(a file's name of every layer -> the model's, likewise of every weight) in one way of naming."""
    layers: dict[str, str] = {}
    weights: dict[str, list[tuple[str, Source]]] = {}
    kinds = (nn.Linear, nn.Embedding, nn.Conv2d)
    own = {f"{name}.weight": name for name, each in model.named_modules() if isinstance(each, kinds)}
    for native, _ in model.named_parameters():
        source = naming(native)
        if source is None:
            continue
        weights.setdefault(source.name, []).append((native, source))
        # Of a layer that is a third of another one (SigLIP's query) an adapter cannot be told apart.
        if native in own and source.parts == 1:
            layers[source.name.removesuffix(".weight")] = own[native]
    return layers, weights


def _check_layers(stored: _Stored, config: Any, file: Path) -> None:  # noqa: ANN401
    """Raises DataError unless the adapters are of exactly the layers that the configuration names."""
    asked, found = _targets(stored.layers, config), stored.adapted
    faults = {
        "tensors belong to no layer of the model": stored.surplus,
        "layers that target_modules names have no adapter": asked - found,
        "layers have an adapter and are not named by target_modules": found - asked,
    }
    _refuse({kind: list(names) for kind, names in faults.items()}, file)


def _targets(layers: Mapping[str, str], config: Any) -> set[str]:  # noqa: ANN401
    """The model's layers that the configuration means; its patterns are of the file's names."""
    from peft.tuners.tuners_utils import check_target_module_exists

    if config.target_modules == "all-linear":
        return {native for native in layers.values() if native != "lm_head" and "embed" not in native}
    return {native for name, native in layers.items() if bool(check_target_module_exists(config, name))}


def _native_config(stored: _Stored, config: Any) -> Any:  # noqa: ANN401
    """The configuration in the model's own names: every layer with its rank and its alpha."""
    from peft import LoraConfig
    from peft.utils.other import get_pattern_key

    named = {native: name for name, native in stored.layers.items()}
    ranks, alphas = config.rank_pattern or {}, config.alpha_pattern or {}
    found = sorted(stored.adapted)

    def exact(pattern: Mapping[str, int], usual: int) -> dict[str, int]:
        keys = list(pattern)
        told = {native: pattern.get(get_pattern_key(keys, named[native]), usual) for native in found} if keys else {}
        return {f"^{re.escape(native)}": value for native, value in told.items()}

    return LoraConfig(
        r=config.r, lora_alpha=config.lora_alpha, target_modules=found, rank_pattern=exact(ranks, config.r),
        alpha_pattern=exact(alphas, config.lora_alpha), use_rslora=config.use_rslora, use_dora=config.use_dora,
        lora_bias=getattr(config, "lora_bias", False), inference_mode=True,
    )  # fmt: skip


def _whole_weights(stored: _Stored, config: Any, model: Any, file: Path) -> dict[str, Tensor]:  # noqa: ANN401
    """What replaces weights of the model: its modules_to_save and its biases, by the model's names."""
    asked = {name for name in stored.weights if _saved_whole(name, stored, config)}
    shapes = {name: tuple(model.get_parameter(native).shape) for name in asked for native, _ in stored.weights[name]}
    wanted = {name: torch.Size(stored.weights[name][0][1].stored_shape(shape)) for name, shape in shapes.items()}
    _compare(wanted, stored.others, file)
    return {native: source.take(stored.others[name]) for name in asked for native, source in stored.weights[name]}


def _saved_whole(name: str, stored: _Stored, config: Any) -> bool:  # noqa: ANN401
    if any(re.match(rf"(^|.*\.){re.escape(each)}($|\..*)", name) for each in config.modules_to_save or ()):
        return True
    adapted = stored.layers.get(name.removesuffix(".bias")) in stored.adapted
    return name.endswith(".bias") and (config.bias == "all" or (config.bias == "lora_only" and adapted))


def _compare(wanted: Mapping[str, torch.Size], found: Mapping[str, Tensor], file: Path) -> None:
    """Raises DataError unless all tensors that are wanted are there, no others, and each in its shape."""
    both = wanted.keys() & found.keys()
    faults = {
        "tensors are missing": wanted.keys() - both,
        "tensors have no place in the model": found.keys() - both,
        "tensors have another shape than rank and layer say": {n for n in both if wanted[n] != found[n].shape},
    }
    _refuse(faults, file)


def _refuse(faults: Mapping[str, Iterable[str]], file: Path) -> None:
    listed = {kind: sorted(names) for kind, names in faults.items() if names}
    if listed:
        words = "; ".join(f"{len(names)} {kind} ({first_names(names)})" for kind, names in listed.items())
        raise DataError(f"the adapters do not fit their checkpoint: {words}", path=file)
