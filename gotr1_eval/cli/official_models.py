"""The models that official numbers stand on, as `doctor --for` examines them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gotr1_eval.cli.bench import ALIASES
from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.core.types import Json

if TYPE_CHECKING:
    from gotr1_eval.build import Builder
    from gotr1_eval.core.protocols import Suite

Models = list[tuple[str, Mapping[str, Json]]]
"""(role of the model, its settings)."""
AESTHETIC = "aesthetic"
"""Not a benchmark but a judge, whose encoder is published as one file as well."""


def known_names(builder: Builder) -> dict[str, tuple[Suite, tuple[str, ...]]]:
    """What `--for` takes: suites by name and by their command's, and categories -> (suite, its categories)."""
    known: dict[str, tuple[Suite, tuple[str, ...]]] = {}
    for suite in builder.suites():
        names = [suite.name, *(alias for alias, name in ALIASES.items() if name == suite.name)]
        known |= dict.fromkeys(names, (suite, suite.categories))
        if suite.official:
            known |= {category: (suite, (category,)) for category in suite.categories if category not in known}
    return known


def categories_of(name: str, builder: Builder) -> tuple[str, ...]:
    """The names under which the official files of a benchmark or category are listed."""
    if name == AESTHETIC:
        return (name,)
    suite, categories = _known(name, builder)
    return (name, suite.name, *categories)


def official_models(name: str, folder: Path, builder: Builder) -> Models:
    """The models of a benchmark or of one category, with the files of a folder; each once.

    A file that is not there is named all the same, so that the model says what it lacks.

    Raises:
        UsageError: an unknown benchmark.
    """

    def file(key: str) -> str:
        from gotr1_eval.core.official_files import find_interchangeable, official_file

        one = official_file(key)
        return one.name if one.on_hub else str(find_interchangeable(one, folder) or folder / one.name)

    if name == AESTHETIC:
        return [("encoder", {"use": "hps", "weights": file("hps")})]
    suite, categories = _known(name, builder)
    models: Models = []
    for category in categories:
        for model in suite.official_models(category, file).items():
            models += [] if model in models else [model]
    return models


def _known(name: str, builder: Builder) -> tuple[Suite, tuple[str, ...]]:
    known = known_names(builder)
    if name not in known:
        names = (*known, AESTHETIC)
        raise UsageError(f"--for {name}: no such benchmark{nearest_name(name, names)} (known: {', '.join(names)})")
    return known[name]
