"""Plug-ins by file name: listing a folder is the registry.

A plug-in is a module with a top-level ``Settings`` class and a ``build`` function; its name is the file's name.
Listing reads the source's outline and imports nothing, so that ``gotr1-eval list`` stays light. A name with a dot is a
third party's module: ``their_package.their_judge``.

A plug-in that is a folder may hold data beside its code (see docs/extending.md for a benchmark's); `Registry.folder`
finds it, and imports nothing either.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from gotr1_eval.core.errors import UsageError, nearest_name


@dataclass(frozen=True, slots=True)
class Registry:
    """The plug-ins of one kind.

    Attributes:
        kind: what they are called in messages ("judge").
        packages: the packages whose files are the plug-ins, in order of precedence; ``package.*.judges`` stands for
            the folder ``judges`` of each of its subpackages.
    """

    kind: str
    packages: tuple[str, ...]

    def list(self) -> Mapping[str, str]:
        """Name -> first line of the module's docstring, sorted by name."""
        return {name: summary for name, (_, _, summary) in sorted(self._files().items())}

    def stated(self, constant: str) -> Mapping[str, tuple[str, ...]]:
        """Name -> the texts that a plug-in's module states under a name at its top level; none where it does not."""
        return {
            name: _stated(source, source.stat().st_mtime_ns, constant)
            for name, (_, source, _) in sorted(self._files().items())
        }

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
                raise UsageError(f"{self.kind} {name!r}: the module has no {needed!r}; see docs/extending.md")
        return module

    def folders(self) -> Mapping[str, Path]:
        """Name -> folder of the plug-ins that are one, sorted by name; third parties' are not among them."""
        files = sorted(self._files().items())
        return {name: source.parent for name, (_, source, _) in files if source.name == "__init__.py"}

    def folder(self, name: str) -> Path | None:
        """The folder of one plug-in, of a third party's by its dotted name; None where it is none or not installed."""
        if "." not in name:
            return self.folders().get(name.replace("-", "_"))
        return next((path for path in _locations(name) if (path / "__init__.py").is_file()), None)

    def _files(self) -> dict[str, tuple[str, Path, str]]:
        """Name -> (module, its source, summary)."""
        found: dict[str, tuple[str, Path, str]] = {}
        for package, folder in self._places():
            for path in sorted(folder.iterdir()):
                source = path / "__init__.py" if path.is_dir() else path
                if source.suffix != ".py" or not source.is_file() or path.name.startswith("_"):
                    continue
                summary = _summary(source, source.stat().st_mtime_ns)
                if summary is not None:
                    found.setdefault(path.stem, (f"{package}.{path.stem}", source, summary))
        return found

    def _places(self) -> Iterator[tuple[str, Path]]:
        """(package, one of its folders), in order of precedence."""
        for pattern in self.packages:
            parent, _, child = pattern.partition(".*.")
            for folder in _locations(parent):
                if not child:
                    yield parent, folder
                    continue
                for within in sorted(folder.glob(f"*/{child}/__init__.py")):
                    yield f"{parent}.{within.parts[-3]}.{child}", within.parent


@cache
def _summary(source: Path, changed: int) -> str | None:
    """First line of a module's docstring; None where it is no plug-in. Parsed once for as long as it is unchanged."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    if not any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in tree.body):
        return None
    return (ast.get_docstring(tree) or "").partition("\n")[0]


@cache
def _stated(source: Path, changed: int, constant: str) -> tuple[str, ...]:
    """A tuple of texts, written out as such; raises ValueError for anything that would have to be computed."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == constant for to in node.targets):
            return tuple(map(str, ast.literal_eval(node.value)))
    return ()


def _locations(package: str) -> list[Path]:
    """The folders of a package; none for a plain module or one that is not installed. No parent of it is imported."""
    first, *others = package.split(".")
    if not all(part.isidentifier() for part in (first, *others)):
        return []
    try:
        spec = importlib.util.find_spec(first)
    except ValueError:  # a module that runs as a script has no spec
        return []
    name = first
    for part in others:
        name = f"{name}.{part}"
        spec = spec and PathFinder.find_spec(name, spec.submodule_search_locations or [])
    return [Path(folder) for folder in (spec.submodule_search_locations or [] if spec else [])]


def check_offers(plugin: object, protocol: type, what: str) -> None:
    """See that a plug-in offers the fields and methods of its protocol, before a run is half done; reads none of them.

    Raises:
        UsageError: one is missing, as in a plug-in that was written before the protocol had it.
    """
    has = set(dir(plugin))
    if missing := [name for name in vars(protocol) if not name.startswith("_") and name not in has]:
        raise UsageError(f"{what} lacks {', '.join(missing)} of a {protocol.__name__}; see docs/extending.md")


JUDGES = Registry("judge", ("rewards", "benchmarks.*.judges"))
DETECTORS = Registry("detector", ("gotr1_eval.models.detectors",))
VLMS = Registry("language-vision model", ("gotr1_eval.models.vlms",))
ENCODERS = Registry("encoder", ("gotr1_eval.models.encoders",))
REWARD_MODELS = Registry("reward model", ("gotr1_eval.models.reward_models",))
YES_NO = Registry("yes-no model", ("gotr1_eval.models.vqa",))
DEPTHS = Registry("depth model", ("gotr1_eval.models.depth",))
PHRASES = Registry("source of noun phrases", ("gotr1_eval.models.phrases",))
PERCEPTUAL = Registry("perceptual distance", ("gotr1_eval.models.perceptual",))
OCRS = Registry("reader of text", ("gotr1_eval.models.ocr",))
GENERATORS = Registry("generator", ("gotr1_eval.models.generators",))
BENCHMARKS = Registry("benchmark suite", ("benchmarks",))
