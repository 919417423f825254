"""Which weights learn, low-rank adapters or the whole language model, and the policy as it was before any did."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gotr1_eval.models.checkpoint import quiet
from training.policies import Policy
from training.settings import LoraSettings
from training.sharding import to_full


@dataclass(frozen=True, slots=True)
class Learner:
    """A policy whose weights learn.

    Attributes:
        policy: what samples and scores, always with the weights as they are now.
        adapters: peft's wrapper, None where the model is trained in full.
        frozen: the first policy, kept only for full training with a KL term; adapters are switched off instead.
    """

    policy: Policy
    adapters: Any
    frozen: Policy | None

    @contextmanager
    def reference(self) -> Iterator[Policy]:
        """The policy that training started from.

        Raises:
            RuntimeError: neither adapters nor a frozen copy were kept.
        """
        if self.adapters is not None:
            with self.adapters.disable_adapter():
                yield self.policy
        elif self.frozen is not None:
            yield self.frozen
        else:
            raise RuntimeError("no reference was kept, since beta is 0")

    @contextmanager
    def folded(self) -> Iterator[None]:
        """The adapters inside the weights, for as long as the policy samples: one product a layer instead of three.

        Only in float32, since bfloat16 would round most of what they learned away. A copy of the weights is held
        meanwhile, and afterwards they are what they were, bit for bit: taking the adapters off again by subtraction
        would leave rounding behind in every step.
        """
        layers = _adapted(self.adapters)
        kept = [layer.get_base_layer().weight.detach().clone() for layer in layers]
        try:
            for layer in layers:
                layer.merge()
            yield
        finally:
            for layer, weight in zip(layers, kept, strict=True):
                layer.merged_adapters.clear()
                layer.get_base_layer().weight.data.copy_(weight)

    @property
    def first_heads(self) -> Policy:
        """Whose heads read the reference's states: no adapter touches a head."""
        return self.frozen or self.policy

    def weights(self, kept: bool = True) -> dict[str, torch.Tensor]:
        """What `save` writes, with its shards put together: all processes call it at once; see `whole`."""
        if self.adapters is None:
            stored = self.policy.model.state_dict()
        else:
            stored = {name: each for name, each in self.adapters.state_dict().items() if "lora_" in name}
        found: dict[str, torch.Tensor] = to_full(dict(stored), kept)
        return found

    def save(self, folder: Path, weights: dict[str, torch.Tensor]) -> None:
        """Adapters in peft's layout, or a native checkpoint with its tokenizer; both readable as `--ckpt`."""
        with quiet():
            if self.adapters is not None:
                self.adapters.save_pretrained(folder, state_dict=weights, save_embedding_layers=False)
            else:
                self.policy.model.save_pretrained(folder, state_dict=weights)
                self.policy.tokenizer.save_pretrained(folder)


def make_learner(
    policy: Policy,
    lora: LoraSettings | None,
    *,
    ckpt: str,
    seed: int,
    keep_first: bool = False,
    gradient_checkpointing: bool = False,
) -> Learner:
    """Give the policy's weights gradients where they are to learn.

    Args:
        ckpt: what the policy was read from; adapters that are saved name it.
        seed: of the adapters' first weights.
        keep_first: a copy of a policy trained in full is kept as the reference; adapters need none.
    """
    frozen = copy.deepcopy(policy).requires_grad_(False) if keep_first and lora is None else None
    adapters = None
    if lora is not None:
        adapters = _with_adapters(policy, lora, ckpt, seed)
    else:
        policy.model.requires_grad_(True)
        for part in policy.never_trained:
            part.requires_grad_(False)
    if gradient_checkpointing:
        language_model: Any = policy.language_model
        # transformers has begun to call it by another name.
        renamed = getattr(language_model, "activation_checkpointing_enable", None)
        (renamed or language_model.gradient_checkpointing_enable)({"use_reentrant": False})
        # transformers recomputes layers in training mode alone; it changes nothing else, without any dropout.
        language_model.train()
    return Learner(policy, adapters, frozen)


def _adapted(adapters: Any) -> list[Any]:  # noqa: ANN401
    """The layers with adapters whose weights are float32."""
    from peft.tuners.lora import LoraLayer

    layers = [each for each in adapters.modules() if isinstance(each, LoraLayer)] if adapters is not None else []
    return [layer for layer in layers if layer.get_base_layer().weight.dtype == torch.float32]


def _with_adapters(policy: Policy, lora: LoraSettings, ckpt: str, seed: int) -> Any:  # noqa: ANN401 - peft is untyped
    """peft's wrapper; the model itself now has the adapters inside."""
    from peft import LoraConfig, get_peft_model

    base = str(Path(ckpt).expanduser().absolute()) if Path(ckpt).expanduser().is_dir() else ckpt
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=policy.adapted_layers(lora.targets))
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        adapted = get_peft_model(policy.model, config)
    config.base_model_name_or_path = base  # after the fact: peft puts the model's own name there first
    return adapted
