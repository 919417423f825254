"""Several processes and trackers, through accelerate."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, gather_object

from gotr1_eval.core.errors import BudgetError, GotR1Error, RunError, UsageError, one_line
from gotr1_eval.files.writing import lock_folder

PATIENCE = timedelta(hours=6)
"""How long processes wait for one of them that is behind, or whose judge is down; torch's ten minutes are too short."""


def start_accelerator(device: str, trackers: Sequence[str], folder: Path) -> Accelerator:
    """This process's place among the others, and the trackers it reports to.

    Raises:
        UsageError: a tracker's package is not installed.
    """
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    try:
        patient = InitProcessGroupKwargs(timeout=PATIENCE)
        accelerator = Accelerator(
            cpu=on_cpu, log_with=list(trackers) or None, project_dir=folder, kwargs_handlers=[patient]
        )
        accelerator.init_trackers(folder.name or "training")
    except (ImportError, ValueError) as error:
        raise UsageError(f"trackers {', '.join(trackers)}: {one_line(error)}") from None
    return accelerator


def computing(autocast: bool, device: torch.device) -> AbstractContextManager[Any]:
    """Products in bfloat16 over float32 weights, if so; see `TrainSettings.compute`."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if autocast else nullcontext()


@contextmanager
def alone_in(folder: Path, accelerator: Accelerator) -> Iterator[None]:
    """No other run writes into the folder meanwhile; raises RunError on every process where one does already."""
    with fail_together():
        lock = lock_folder(folder) if accelerator.is_main_process else None
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def stop_together(asked: bool) -> bool:
    """Whether any process was asked to stop: a signal reaches them at different moments, and they stop after the same
    step, or would wait for each other for ever."""
    return any(gather_object([asked]))


@contextmanager
def fail_together() -> Iterator[None]:
    """What happens inside fails on every process when it fails on one: none waits for another.

    Raises:
        GotR1Error: this process's own; elsewhere a RunError, or a BudgetError, with the same words.
    """
    fault: GotR1Error | None = None
    try:
        yield
    except GotR1Error as error:
        fault = error
    told = gather_object([] if fault is None else [(isinstance(fault, BudgetError), str(fault))])
    if fault is not None:
        raise fault
    if told:
        spent, text = max(told)
        raise BudgetError(text) if spent else RunError(text)
