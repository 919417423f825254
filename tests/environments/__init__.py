"""What only environments made by pip can show; each module is one check, run by `make check-...`.

An environment is a folder ``.venv-NAME`` beside the Makefile, made once. torch comes first, as constraints.txt pins it,
and no package of CUDA may follow: that would be another torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
DECLARED = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
"""What torchvision's own binary would declare; without it, its Python part imports beside a torch of the CPU."""


def environment(folder: Path) -> Path:
    """The Python of the environment in that folder, with torch alone where it was not made yet."""
    python = folder / "bin" / "python"
    if not (folder / ".made").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip(python, "install", "--constraint", str(CONSTRAINTS), "torch")
        (folder / ".made").touch()
    return python


def pip(python: Path, *arguments: str) -> None:
    """Run pip quietly; ends the check where it fails, or where it brought packages of CUDA."""
    run(python, "-m", "pip", arguments[0], "--quiet", *arguments[1:])
    listed = run(python, "-m", "pip", "list", "--format=freeze")
    if cuda := [line for line in listed.splitlines() if line.lower().startswith("nvidia")]:
        sys.exit(f"packages of CUDA came along, so torch is another one: {', '.join(cuda)}")


def run(python: Path, *arguments: str, cwd: Path | None = None) -> str:
    """What the command prints; ends the check where it fails. No package of this folder is in its way."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), *arguments], cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout
