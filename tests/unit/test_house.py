"""What keeps the house open: the code knows no benchmark by name outside the benchmark's own folder."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("gotr1_eval", "rewards", "reports", "training", "benchmarks")
OWN = tuple(f"benchmarks/{path.parent.name}/" for path in sorted((ROOT / "benchmarks").glob("*/data.toml")))
"""The folders of benchmarks that somebody else publishes."""
BENCHMARK = re.compile(
    r"geneval|compbench|unigenbench|corebench|tiif|dpg|longtext|oneig|(?<![a-z_-])wise(?![a-z ])", re.I
)
REMAINING = {
    "gotr1_eval/cli/app.py",
    "gotr1_eval/cli/bench.py",
    "gotr1_eval/cli/phrases.py",
}
"""Files that still name one; may only shrink. The commands `compbench` and `geneval` stand in the first two."""


def words(tree: ast.AST) -> Iterator[str]:
    """Every name, import and string of a module; docstrings, of attributes too, aside."""
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if isinstance(node, ast.Expr) and field == "value" and isinstance(value, ast.Constant):
                value.value = ""  # a docstring; its node is walked after this one
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str):
                    yield one


def test_benchmarks_are_named_in_their_own_folders_only():
    naming: dict[str, list[str]] = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(OWN):
            found = [word for word in words(ast.parse(path.read_text(encoding="utf-8"))) if BENCHMARK.search(word)]
            if found or BENCHMARK.search(name):
                naming[name] = found
    assert set(naming) == REMAINING, {name: found for name, found in naming.items() if name not in REMAINING}


def test_a_name_an_import_and_a_string_are_found_and_docstrings_are_not():
    source = '"""GenEval."""\nimport benchmarks.geneval\nGENEVAL = 1\n"""Of GenEval."""\nname = f"{x} of GenEval"\n'
    found = {word for word in words(ast.parse(source)) if BENCHMARK.search(word)}
    assert found == {"GENEVAL", "benchmarks.geneval", " of GenEval"}
