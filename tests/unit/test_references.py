"""What docstrings, comments and documents call by its dotted name is there under this name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gotr1_eval", "rewards", "benchmarks", "reports", "training")
DOTTED = re.compile(rf"`({'|'.join(PACKAGES)})((?:\.[A-Za-z_]\w*)+)`")
PATHS = re.compile(rf"`((?:{'|'.join(PACKAGES)}|tests|docs|configs|examples)/[\w./-]*(?:/|\.\w+))`")
OTHERS = {"reports.toml", "rewards.py", "training.json", "gotr1_eval.rewards"}
"""Users' files that look like modules of ours, and a layout that was rejected."""
TOLD = [
    *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))),
    # The table of names that were is another's.
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name != "upgrading.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "pyproject.toml")),
]


@cache
def names(module: Path) -> frozenset[str]:
    """Names that a module binds, at its top or in a class."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    found |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return frozenset(found)


@cache
def imported(module: Path) -> frozenset[str]:
    """Names that a module takes from others."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return frozenset(each.asname or each.name for node in nodes for each in node.names)


def is_there(dotted: str) -> bool:
    """Whether a name leads to a package, a module, or something that a module binds."""
    place, parts = ROOT, dotted.split(".")
    for at, part in enumerate(parts):
        if (place / part).is_dir():
            place = place / part
            continue
        if dotted in OTHERS:
            return True
        module = place / f"{part}.py"
        rest = parts[at + 1 :] if module.exists() else parts[at:]
        bound = module if module.exists() else place / "__init__.py"
        return not rest or (bound.exists() and (rest[0] in imported(bound) or set(rest) <= names(bound)))
    return True


def test_the_check_tells_names_apart():
    assert is_there("training.grpo.GrpoTrainer.step")
    assert is_there("training.policies.Policy")
    assert is_there("gotr1_eval.core")
    assert not is_there("training.grpo.GrpoTrainer.stroll")
    assert not is_there("training.nowhere")


@pytest.mark.parametrize("package", [*PACKAGES, "docs", "."])
def test_what_is_named_is_there(package: str):
    lost = []
    for path in TOLD:
        where = path.relative_to(ROOT)
        if (where.parts[0] if len(where.parts) > 1 else ".") != package:
            continue
        text = path.read_text(encoding="utf-8")
        lost += [f"{where}: {first}{rest}" for first, rest in DOTTED.findall(text) if not is_there(first + rest)]
        lost += [f"{where}: {name}" for name in PATHS.findall(text) if not (ROOT / name).exists()]
    assert lost == []
