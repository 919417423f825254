"""Plug-ins by file name: listing a folder is the registry.

A plug-in is a module with a top-level ``Settings`` class and a ``build`` function; its name is the file's name.
Listing reads the source's outline and imports nothing, so that ``gotr1-eval list`` stays light. A name with a dot is a
third party's module: ``their_package.their_judge``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from gotr1_eval.core.errors import UsageError, nearest_name


@dataclass(frozen=True, slots=True)
class Registry:
    """The plug-ins of one kind.

    Attributes:
        kind: what they are called in messages ("judge").
        packages: the packages whose files are the plug-ins, in order of precedence.
    """

    kind: str
    packages: tuple[str, ...]

    def list(self) -> Mapping[str, str]:
        """Name -> first line of the module's docstring, sorted by name."""
        return {name: summary for name, (_, summary) in sorted(self._files().items())}

    def load(self, name: str) -> ModuleType:
        """The plug-in's module.

        Raises:
            UsageError: no plug-in of that name; the message gives the nearest one.
        """
        if "." in name:
            return self._third_party(name)
        files = self._files()
        if name not in files:
            known = ", ".join(sorted(files))
            raise UsageError(f"no {self.kind} named {name!r}{nearest_name(name, files)} (known: {known})")
        return importlib.import_module(files[name][0])

    def _third_party(self, name: str) -> ModuleType:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(
                f"{self.kind} {name!r}: a third party's is named like a module, their_package.their_module"
            )
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise UsageError(f"{self.kind} {name!r}: no module named {error.name!r} can be imported") from None
        for needed in ("build", "Settings"):
            if not hasattr(module, needed):
                raise UsageError(f"{self.kind} {name!r}: the module has no {needed!r}; see CONTRIBUTING.md")
        return module

    def _files(self) -> dict[str, tuple[str, str]]:
        """Name -> (module, summary)."""
        found: dict[str, tuple[str, str]] = {}
        for package in self.packages:
            spec = importlib.util.find_spec(package)
            for folder in (spec.submodule_search_locations or []) if spec else []:
                for path in sorted(Path(folder).iterdir()):
                    source = path / "__init__.py" if path.is_dir() else path
                    if source.suffix != ".py" or not source.is_file() or path.name.startswith("_"):
                        continue
                    tree = ast.parse(source.read_text(encoding="utf-8"))
                    if any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in tree.body):
                        summary = (ast.get_docstring(tree) or "").partition("\n")[0]
                        found.setdefault(path.stem, (f"{package}.{path.stem}", summary))
        return found


JUDGES = Registry(
    "judge", ("rewards", "benchmarks.shapes.judges", "benchmarks.t2i_compbench.judges", "benchmarks.geneval.judges")
)
DETECTORS = Registry("detector", ("gotr1_eval.models.detectors",))
VLMS = Registry("language-vision model", ("gotr1_eval.models.vlms",))
ENCODERS = Registry("encoder", ("gotr1_eval.models.encoders",))
YES_NO = Registry("yes-no model", ("gotr1_eval.models.vqa",))
DEPTHS = Registry("depth model", ("gotr1_eval.models.depth",))
PHRASES = Registry("source of noun phrases", ("gotr1_eval.models.phrases",))
GENERATORS = Registry("generator", ("gotr1_eval.models.generators",))
BENCHMARKS = Registry("benchmark suite", ("benchmarks",))
