"""What messages tell people to do can be done."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.extras import install_hint

ROOT = Path(__file__).parents[2]


def test_an_extra_is_named_by_its_packages():
    """The project is in no registry, so that `gotr1-eval[ray]` would bring nothing, or somebody else's."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in set(extras) - {"dev"}:
        named = sorted(re.split("[><=]", requirement)[0] for requirement in extras[extra])
        assert sorted(install_hint(extra).removeprefix("pip install ").replace("'", "").split()) == named
    assert install_hint("ray") == "pip install 'ray[data]'"


def test_no_hint_names_the_project_as_a_package():
    sources = [
        path
        for folder in ("gotr1_eval", "rewards", "benchmarks", "reports", "training")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(sources) > 100
    assert [path for path in sources if "install 'gotr1-eval" in path.read_text()] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "x", "--judges", ""],
        ["score", "x", "--judges="],
        ["demo", "--out", " "],
        ["list", "judges", "--judge-model", ""],
    ],
)
def test_an_option_without_its_value_is_refused(arguments):
    named = next(one for one in arguments if one.startswith("--")).removesuffix("=")
    with pytest.raises(UsageError, match=f"{named}: expected a value, got an empty text"):
        run(arguments)
