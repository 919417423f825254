"""Mutation testing by hand: change one operator, constant or return of a module, and see whether its tests fail.

    python -m tests.perf.mutation rewards/rules.py "tests/unit/test_totals.py" [most mutants]

A mutant is a child of this process in which the module's changed text is imported in place of its file, so that nothing
on disk changes. Docstrings, messages, annotations and versions are left alone. docs/mutation.md has the results.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

Change = Callable[[ast.AST], object]
SECONDS = 100
"""After which a mutant counts as killed: it does not end."""
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_FUNCTIONS = {"min": "max", "max": "min", "all": "any", "any": "all"}


def _set(name: str, value: Callable[[ast.AST], object]) -> Change:
    return lambda node: setattr(node, name, value(node))


def changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """What can be changed at a node: (name, change)."""
    match node:
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                for new in _COMPARISONS[type(op)]:
                    swapped = [*ops[:place], new(), *ops[place + 1 :]]
                    yield f"{place}: {new.__name__}", _set("ops", lambda _, swapped=swapped: swapped)  # type: ignore[misc]
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS:
            yield _OPERATORS[type(op)].__name__, _set("op", lambda _: _OPERATORS[type(op)]())
        case ast.BoolOp(op=op):
            yield "and, or", _set("op", lambda _: ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.Constant(value=bool() as value):
            yield "not", _set("value", lambda _: not value)
        case ast.Constant(value=int() | float() as value):
            yield "plus one", _set("value", lambda _: value + 1)
        case ast.Constant(value=str() as value) if value:
            yield "another text", _set("value", lambda _: "XX" + value)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield "not", _set("test", lambda _: ast.UnaryOp(ast.Not(), test))
        case ast.Return(value=ast.expr() as result) if not isinstance(result, ast.Constant):
            yield "None", _set("value", lambda _: ast.Constant(None))
        case ast.Call(func=ast.Name(id=name) as function) if name in _FUNCTIONS:
            yield _FUNCTIONS[name], lambda _: setattr(function, "id", _FUNCTIONS[name])
        case ast.comprehension(ifs=[_, *_]):
            yield "no condition", _set("ifs", lambda _: [])


def _left_alone(root: ast.AST) -> set[int]:
    """Ids of the nodes that no test should hold: docstrings, messages, annotations, versions."""
    found: list[ast.AST | None] = []
    for node in ast.walk(root):
        match node:
            case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.Raise():
                found.append(node)
            case ast.keyword(arg="detail" | "note" | "strict"):
                found.append(node)
            case ast.FunctionDef(args=arguments, returns=returns):
                found += [returns, *(one.annotation for one in (*arguments.args, *arguments.kwonlyargs))]
            case ast.AnnAssign(annotation=annotation):
                found.append(annotation)
            case ast.Assign(targets=[ast.Name(id="VERSION"), *_]):
                found.append(node)
    return {id(inner) for node in found if node is not None for inner in ast.walk(node)}


def mutants(source: str) -> list[tuple[int, str]]:
    """Every change of a module: (place of the node in `ast.walk`, name of the change)."""
    root = ast.parse(source)
    alone = _left_alone(root)
    return [
        (place, name) for place, node in enumerate(ast.walk(root)) if id(node) not in alone for name, _ in changes(node)
    ]


def mutated(source: str, place: int, name: str) -> tuple[str, int]:
    """The changed text, and the line of the change."""
    root = ast.parse(source)
    node = list(ast.walk(root))[place]
    dict(changes(node))[name](node)
    return ast.unparse(ast.fix_missing_locations(root)), getattr(node, "lineno", 0)


class _InPlace(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a text in place of a module's file."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        self.name, self.path, self.text = name, path, text

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.path)
        exec(compile(self.text, str(self.path), "exec"), module.__dict__)


def passes(path: Path, text: str, tests: Sequence[str]) -> bool:
    """Whether the tests pass with the text in place of the module."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        sys.meta_path.insert(0, _InPlace(".".join(path.with_suffix("").parts), path, text))
        signal.alarm(SECONDS)
        code = 1
        try:
            code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def main(module: str, tests: str, most: int | None = None) -> None:
    """Print every survivor, and how many were killed."""
    path, chosen = Path(module), shlex.split(tests)
    source = path.read_text()
    if not passes(path, source, chosen):
        sys.exit("the tests fail without any change")
    found = mutants(source)
    if most is not None and len(found) > most:
        found = sorted(random.Random(0).sample(found, most))
    survivors = 0
    for place, name in found:
        text, line = mutated(source, place, name)
        if passes(path, text, chosen):
            survivors += 1
            print(f"{module}:{line}: {name}: {source.splitlines()[line - 1].strip()}", flush=True)
    print(f"{module}: {len(found)} mutants, {len(found) - survivors} killed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
