"""Which weights learn, low-rank adapters or the whole language model, and the policy as it was before any did."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gotr1_eval.models.checkpoint import quiet
from gotr1_eval.models.local_model import compute_dtype
from training.policies import Policy
from training.settings import LoraSettings
from training.sharding import to_full, to_shard


@dataclass(frozen=True, slots=True)
class Learner:
    """A policy whose weights learn.

    Attributes:
        policy: what samples and scores, always with the weights as they are now.
        adapters: peft's wrapper, None where the model is trained in full.
        frozen: the reference, kept only for full training with a KL term; adapters are switched off instead.
        followed: of adapters whose reference follows them: its values, by name; empty before it has moved.
    """

    policy: Policy
    adapters: Any
    frozen: Policy | None
    followed: dict[str, torch.Tensor] = field(default_factory=dict)

    @contextmanager
    def reference(self) -> Iterator[Policy]:
        """The policy that training started from, or what `follow` has made of it.

        Raises:
            RuntimeError: neither adapters nor a frozen copy were kept.
        """
        if self.adapters is not None and self.followed:
            with self._as_followed():
                yield self.policy
        elif self.adapters is not None:
            with self.adapters.disable_adapter():
                yield self.policy
        elif self.frozen is not None:
            yield self.frozen
        else:
            raise RuntimeError("no reference was kept, since beta is 0")

    @torch.no_grad()
    def follow(self, mix: float) -> None:
        """Move the reference towards the policy as it is now: reference + mix * (policy - reference)."""
        if self.frozen is not None:
            for reference, now in zip(self.frozen.parameters(), self.policy.parameters(), strict=True):
                if now.requires_grad:
                    reference.lerp_(to_full(now.detach()).to(reference), mix)
            return
        for name, now in self._learned():
            # Adapters begin as no change at all: their second factors at 0.
            before = self.followed.get(name)
            if before is None:
                before = torch.zeros_like(now) if "lora_B" in name else now.detach().clone()
            self.followed[name] = before.lerp(now.detach(), mix)

    def reference_state(self) -> dict[str, torch.Tensor]:
        """What a reference that follows consists of; empty before it has followed."""
        if self.frozen is None:
            return dict(self.followed)
        mine = dict(self._learned())
        return {name: each for name, each in self.frozen.named_parameters() if name in mine}

    @torch.no_grad()
    def load_reference(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `reference_state` told, whole tensors."""
        frozen = {} if self.frozen is None else dict(self.frozen.named_parameters())
        for name, now in self._learned() if state else ():
            if name in frozen:
                frozen[name].copy_(state[name])
            else:
                self.followed[name] = to_shard(state[name].to(now.device), now).clone()

    def _learned(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, each) for name, each in self.policy.named_parameters() if each.requires_grad]

    @contextmanager
    def _as_followed(self) -> Iterator[None]:
        """The adapters with the reference's values, and then with their own again, bit for bit."""
        own = [(each, each.detach().clone(), self.followed[name]) for name, each in self._learned()]
        with torch.no_grad():
            for each, _, reference in own:
                each.copy_(reference)
        try:
            yield
        finally:
            with torch.no_grad():
                for each, before, _ in own:
                    each.copy_(before)

    @contextmanager
    def folded(self) -> Iterator[None]:
        """The adapters inside the weights, for as long as the policy samples: one product a layer instead of three.

        Only where products are in float32, since bfloat16 would round most of what they learned away: there the sampler
        adds their share to each product. A copy of the weights is held
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
        """What `save` writes, with its shards put together: all processes call it at once; see `to_full`."""
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
                self.policy.save(folder, weights)


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
    """The layers with adapters whose products are in float32."""
    from peft.tuners.lora import LoraLayer

    layers: list[Any] = [each for each in adapters.modules() if isinstance(each, LoraLayer)] if adapters else []
    return [layer for layer in layers if compute_dtype(layer.get_base_layer().weight) == torch.float32]


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
