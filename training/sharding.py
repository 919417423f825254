"""One policy on several processes: copies that average their gradients (DDP), or shards of one (FSDP2).

accelerate's configuration says which. Sharding is torch's own `fully_shard`, a group a layer, since accelerate offers
it on GPUs only and the tests run it on processors. What does not go through the policy's forward pass (sampling,
decoding pictures, evaluating) needs the weights whole: `full_weights` gives them for a while.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from gotr1_eval.core.errors import UsageError
from training.policies import Policy


def sharding_asked() -> bool:
    """Whether accelerate's configuration asks for FSDP.

    Raises:
        UsageError: for its first version.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return False
    if os.environ.get("FSDP_VERSION", "1") != "2":
        raise UsageError(
            "accelerate's configuration asks for FSDP 1: set fsdp_version: 2 (configs/accelerate_fsdp2.yaml)"
        )
    return True


def shard_policy(policy: Policy, accelerator: Accelerator, *, bfloat16: bool = False) -> nn.Module:
    """The policy for this process's part of the work; sharded in place, or wrapped. An optimizer comes after this.

    Args:
        bfloat16: shards stay in float32 and are gathered in bfloat16, for learning and for sampling alike; gradients
            are added in float32.

    Raises:
        UsageError: accelerate is configured for something else than DDP or FSDP2.
    """
    if accelerator.num_processes == 1:
        return policy
    if not sharding_asked():
        if str(accelerator.distributed_type.value) not in {"MULTI_CPU", "MULTI_GPU"}:
            raise UsageError(
                f"accelerate is configured for {accelerator.distributed_type.value}: training knows DDP and FSDP2 "
                "(configs/accelerate_ddp.yaml, configs/accelerate_fsdp2.yaml)"
            )
        return cast(nn.Module, accelerator.prepare_model(policy))
    shard_layers(policy, policy, accelerator, bfloat16=bfloat16)
    return policy


def shard_layers(whole: nn.Module, policy: Policy, accelerator: Accelerator, *, bfloat16: bool) -> None:
    """Shard a module in place: a group a layer of the policy inside it, and one of everything else.

    Args:
        whole: the module whose forward pass a step makes.
    """
    # The losses never write into what a module returned, which is what torch warns of at every step.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor", UserWarning)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    layers: Any = policy.language_model.layers
    mixed = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    precision = mixed if bfloat16 else MixedPrecisionPolicy()
    for layer in layers:
        fully_shard(layer, mesh=mesh, mp_policy=precision)
    fully_shard(whole, mesh=mesh, mp_policy=precision)


@contextmanager
def full_weights(policy: nn.Module) -> Iterator[None]:
    """Whole weights on every process; all of them enter together. Without sharding nothing happens."""
    groups = [module for module in policy.modules() if isinstance(module, FSDPModule)]
    for group in groups:
        group.unshard()
    try:
        yield
    finally:
        for group in groups:
            group.reshard()


def to_full(value: Any, kept: bool = True) -> Any:  # noqa: ANN401 - a tensor, or a state dict with tensors inside
    """The same with its shards put together, which all processes do at once; every tensor on the CPU.

    Args:
        kept: False on a process that helps and has no use for the result: its tensors are left out, one by one.
    """
    if isinstance(value, DTensor):
        value = value.full_tensor()
    if isinstance(value, Tensor):
        return value.cpu() if kept else None
    if isinstance(value, dict):
        return {key: to_full(inside, kept) for key, inside in value.items()}
    return value


def to_shard(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's shard of a whole tensor that every process has; the tensor itself without sharding."""
    if not isinstance(like, DTensor):
        return tensor
    on_device = tensor.to(like.device_mesh.device_type)
    part: Tensor = distribute_tensor(on_device, like.device_mesh, like.placements, src_data_rank=None)
    return part


def to_shards(states: dict[Any, dict[str, Any]], parameters: list[Tensor]) -> dict[Any, dict[str, Any]]:
    """An optimizer's states, each tensor of its parameter's shape as that parameter is sharded."""

    def shared(value: Any, like: Tensor) -> Any:  # noqa: ANN401
        return to_shard(value, like) if isinstance(value, Tensor) and value.shape == like.shape else value

    return {
        index: {name: shared(value, parameters[index]) for name, value in state.items()}
        for index, state in states.items()
    }


def norm_value(norm: Tensor) -> float:
    """A gradient norm as a number."""
    return float(torch.as_tensor(to_full(norm)))
