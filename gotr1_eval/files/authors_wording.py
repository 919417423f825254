"""Wording taken out of its authors' fetched source file, which is parsed and never run.

What a judge is asked decides its number, and some authors allow nobody to copy their words. The words then stay in the
file that the user has fetched at the pinned commit: its syntax tree says where they are, and how a prompt is set in.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.identifiers import fingerprint


@dataclass(frozen=True, slots=True)
class Template:
    """A text with slots: an f-string's pieces.

    Attributes:
        pieces: (fixed text, expression of the slot behind it as source, None for none), in order.
    """

    pieces: tuple[tuple[str, str | None], ...]

    @property
    def slots(self) -> tuple[str, ...]:
        """The expressions, each as often as it stands there."""
        return tuple(slot for _, slot in self.pieces if slot is not None)

    @property
    def digest(self) -> str:
        """16 hex digits that change with any word of it."""
        return fingerprint({"pieces": [[text, slot] for text, slot in self.pieces]})

    def fill(self, values: Mapping[str, str] = {}) -> str:
        """The text with a value for every slot; raises KeyError for a slot without one."""
        return "".join(text + ("" if slot is None else values[slot]) for text, slot in self.pieces)


class SourceFile:
    """A Python file of a judge's or benchmark's authors, read as data.

    Args:
        path: of the file, for messages.
        text: its content; None reads the file.

    Raises:
        DataError: it cannot be read, or is no Python.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        try:
            self._tree = ast.parse(path.read_text(encoding="utf-8") if text is None else text)
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror})", path=path) from None
        except (SyntaxError, UnicodeDecodeError, ValueError) as error:
            raise DataError(f"expected its authors' Python source ({error})", path=path) from None

    def constant(self, name: str) -> Any:  # noqa: ANN401 (whatever the file assigns)
        """The value of a module's constant that is written out (a text, a list, a dictionary of texts).

        It may name other such constants of the module.

        Raises:
            DataError: there is none of that name, or it is computed.
        """
        return self._value(self._assigned(name), name)

    def template(self, name: str) -> Template:
        """The text, perhaps with slots, that a module assigns to a name.

        Raises:
            DataError: there is none of that name, or it is no text.
        """
        value = self._assigned(name)
        if not isinstance(value, ast.Constant | ast.JoinedStr):
            raise DataError(f"{name} is no text", path=self.path)
        return _template(value)

    def _assigned(self, name: str) -> ast.expr:
        for node in self._tree.body:
            if isinstance(node, ast.Assign) and any(_is_name(target, name) for target in node.targets):
                return node.value
        raise DataError(f"no constant {name}", path=self.path)

    def attribute(self, name: str) -> Any:  # noqa: ANN401 (whatever the file assigns)
        """The value that is written out where ``self.<name>`` is assigned, wherever that is.

        Raises:
            DataError: there is none of that name, or it is computed.
        """
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Attribute) and target.attr == name for target in node.targets
            ):
                return self._value(node.value, name)
        raise DataError(f"no attribute {name}", path=self.path)

    def _value(self, node: ast.expr, name: str) -> Any:  # noqa: ANN401
        if isinstance(node, ast.Name) and node.id != name:
            return self.constant(node.id)
        if isinstance(node, ast.Dict) and all(key is not None for key in node.keys):
            keys = [self._value(key, name) for key in node.keys if key is not None]
            return dict(zip(keys, [self._value(value, name) for value in node.values], strict=True))
        if isinstance(node, ast.List | ast.Tuple):
            return [self._value(one, name) for one in node.elts]
        if isinstance(node, ast.Constant):
            return node.value
        raise DataError(f"{name} is computed, expected a written-out constant", path=self.path)

    def templates(self, function: str | None = None, key: str = "text") -> list[Template]:
        """The texts that a function puts under a key of dictionaries, in the file's order: the turns of a chat.

        Args:
            function: None looks through the whole file.

        Raises:
            DataError: there is no such function, or it has no such text.
        """
        found = [
            _template(value)
            for node in _inside(self._tree, function, self.path)
            if isinstance(node, ast.Dict)
            for name, value in zip(node.keys, node.values, strict=True)
            if isinstance(name, ast.Constant) and name.value == key and isinstance(value, ast.Constant | ast.JoinedStr)
        ]
        if not found:
            raise DataError(f"{function or 'it'} has no text under {key!r}", path=self.path)
        return found

    def formatted(self, function: str) -> list[str]:
        """The written-out texts whose ``format`` a function calls, in the file's order.

        Raises:
            DataError: there is no such function, or it has no such text.
        """
        found = [
            node.func.value.value
            for node in _inside(self._tree, function, self.path)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "format"
            and isinstance(node.func.value, ast.Constant)
            and isinstance(node.func.value.value, str)
        ]
        if not found:
            raise DataError(f"{function} fills in no text", path=self.path)
        return found


def _inside(tree: ast.Module, function: str | None, path: Path) -> list[ast.AST]:
    """The nodes of a function, or of the whole file, in the order in which they stand there."""
    for node in ast.walk(tree):
        if function is None or (isinstance(node, ast.FunctionDef) and node.name == function):
            return sorted(ast.walk(node), key=lambda one: (getattr(one, "lineno", 0), getattr(one, "col_offset", 0)))
    raise DataError(f"no function {function}", path=path)


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _template(node: ast.Constant | ast.JoinedStr) -> Template:
    if isinstance(node, ast.Constant):
        return Template(((str(node.value), None),))
    pieces, text = [], ""
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            pieces.append((text, ast.unparse(part.value)))
            text = ""
        else:
            text += str(part.value) if isinstance(part, ast.Constant) else ""
    return Template((*pieces, (text, None)))
