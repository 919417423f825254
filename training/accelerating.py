"""Several processes and trackers, through accelerate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import Accelerator

from gotr1_eval.core.errors import UsageError, one_line


def start_accelerator(device: str, trackers: Sequence[str], folder: Path) -> Accelerator:
    """This process's place among the others, and the trackers it reports to.

    Raises:
        UsageError: a tracker's package is not installed.
    """
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    try:
        accelerator = Accelerator(cpu=on_cpu, log_with=list(trackers) or None, project_dir=folder)
        accelerator.init_trackers(folder.name or "training")
    except (ImportError, ValueError) as error:
        raise UsageError(f"trackers {', '.join(trackers)}: {one_line(error)}") from None
    return accelerator
