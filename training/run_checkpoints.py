"""Checkpoints of a training run: whole or not there, the last few kept, continued from to the same bits.

checkpoints/step-000100/   adapters or model, readable as --ckpt, and trainer.pt: what else a run needs to go on

What is written is whole, however many processes wrote it: any number of them goes on from it, sharded or not. Prompts
and seeds follow from the step alone, so that a step's number is all there is to know about data and random states;
samples that wait for their step, which an older policy made, are kept whole.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch.optim import Optimizer

from gotr1_eval.core.errors import DataError, one_line, writing
from training.sharding import to_full, to_shard, to_shards
from training.trained_parts import Learner

STATE = "trainer.pt"
_NAME = re.compile(r"step-(\d{6,})")


def save(
    folder: Path, step: int, learner: Learner, optimizer: Optimizer, keep: int, *,
    writes: bool = True, follows: bool = False, waiting: list[dict[str, Any]] | None = None,
) -> None:  # fmt: skip
    """Write checkpoint `step`, then drop all but the last `keep`. Every process calls it, one of them writes.

    Args:
        follows: the reference moves, and is kept with the rest; else it is where training started.
        waiting: samples that were made for the next step before this one was learned from.

    Raises:
        RunError: the disk is full, or the folder cannot be written.
    """
    state = {
        "step": step,
        "weights": _learned(learner, writes),
        "optimizer": to_full(optimizer.state_dict(), writes),
        "reference": to_full(learner.reference_state() if follows else {}, writes),
        **({} if waiting is None else {"waiting": waiting}),
    }
    weights = learner.weights(writes)
    if not writes:
        return
    final = folder / f"step-{step:06}"
    partial = final.with_name(final.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with writing(final):
        partial.mkdir(parents=True)
        try:
            learner.save(partial, weights)
            torch.save(state, partial / STATE)
        except (SafetensorError, RuntimeError) as error:  # what they make of a full disk
            raise OSError(one_line(error)) from None
        _to_disk(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    for old in _complete(folder)[:-keep]:
        shutil.rmtree(old)


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where a run goes on.

    Attributes:
        step: how many are done.
        waiting: see `save`.
    """

    step: int = 0
    waiting: list[dict[str, Any]] | None = None


def resume(folder: Path, learner: Learner, optimizer: Optimizer) -> Resumed:
    """Load the newest checkpoint into learner and optimizer; without one the run begins.

    Raises:
        DataError: it cannot be read, or is of other weights.
    """
    found = _complete(folder)
    if not found:
        return Resumed()
    path = found[-1] / STATE
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        raise DataError(f"the checkpoint cannot be read: {one_line(error)}", path=path) from None
    learned = dict(_parameters(learner))
    if set(state["weights"]) != set(learned):
        raise DataError("the checkpoint holds other weights than these settings train", path=path)
    with torch.no_grad():
        for name, parameter in learned.items():
            parameter.copy_(to_shard(state["weights"][name], parameter))
    learner.load_reference(state.get("reference", {}))
    states = state["optimizer"]
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    optimizer.load_state_dict({**states, "state": to_shards(states["state"], parameters)})
    return Resumed(int(state["step"]), state.get("waiting"))


def _parameters(learner: Learner) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, each) for name, each in learner.policy.named_parameters() if each.requires_grad]


def _learned(learner: Learner, writes: bool) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = to_full({name: each.detach() for name, each in _parameters(learner)}, writes)
    return found


def _complete(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first; a partial one is the trace of a killed process."""
    if not folder.is_dir():
        return []
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    return [found[step] for step in sorted(found)]


def _to_disk(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
