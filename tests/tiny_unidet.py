"""A random UniDet small enough to build in every test: the authors' file of weights, and the names of five classes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import torch

from gotr1_eval.models.detectors.unidet.architecture import R50
from gotr1_eval.models.detectors.unidet.network import UniDet

TINY = replace(R50, name="tiny", blocks=(1, 1, 1, 1), width=4, channels=8, head_width=16, classes=5)
LABELS = ["cat", "table, desk", "dog", "mouse2, mouse", "cup"]


def write_files(folder: Path) -> Path:
    """``weights.pth`` and ``labels.json``; to be read with `TINY` as an architecture."""
    torch.manual_seed(0)
    network = UniDet(TINY).eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("running_var", "norm.weight")):
                tensor.fill_(1.0)
            elif tensor.dim() < 2:
                tensor.fill_(-1.0 if "cls_score" in name else 0.0)
            else:
                tensor.normal_(std=1.0 / math.sqrt(tensor[0].numel()))
    torch.save({"model": network.state_dict(), "iteration": 1}, folder / "weights.pth")
    (folder / "labels.json").write_text(json.dumps(LABELS))
    return folder
