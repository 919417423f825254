"""The policy of a checkpoint, by the family that its configuration names."""

from __future__ import annotations

from importlib import import_module
from typing import Literal

from gotr1_eval.core.errors import UsageError
from gotr1_eval.models.autoregressive.checkpoints import checkpoint_folder, checkpoint_type
from training.policies import Policy, Sampling

FAMILIES = {"janus": "janus", "multi_modality": "janus", "emu3": "emu3"}
"""`model_type` of config.json -> the module of this package. `multi_modality` is DeepSeek's own layout of Janus."""


def read_policy(ckpt: str, device: str, dtype: Literal["float32", "bfloat16"], sampling: Sampling) -> Policy:
    """The checkpoint that training starts from.

    Raises:
        UsageError: there is no such checkpoint, or it is of a family that is not trained here; also what the family's
            own loading raises.
    """
    kind = checkpoint_type(checkpoint_folder(ckpt))
    if kind not in FAMILIES:
        known = ", ".join(map(repr, FAMILIES))
        raise UsageError(f"ckpt = {ckpt!r} is of model_type {kind!r}; training knows {known}")
    family = import_module(f"training.policies.{FAMILIES[kind]}")
    policy: Policy = family.read_policy(ckpt, device, dtype, sampling)
    return policy
