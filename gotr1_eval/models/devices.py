"""What models could run on here."""

from __future__ import annotations

import os

import torch


def list_devices() -> dict[str, str]:
    """Device, as settings name it -> what it is; the processor is always there."""
    found = {"cpu": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"
    return found
