"""Commands made from requests: each field of a request is an option, and its description the option's help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.runs.request import SHORT_FORMS, JudgingRequest, option

R = TypeVar("R", bound=JudgingRequest)
_AS_THEY_ARE = (int, float, bool, Path)


def command(
    kind: type[R],
    act: Callable[..., None],
    *,
    argument: str | None = None,
    fixed: Mapping[str, object] | None = None,
    defaults: Mapping[str, str] | None = None,
    leave_out: tuple[str, ...] = (),
    explain: str,
) -> Callable[..., None]:
    """A command that reads a request and acts on it.

    Args:
        act: takes the request; its keyword-only parameters are options of this command alone.
        argument: the field that stands without an option's name.
        fixed: fields with values that this command does not ask for.
        defaults: values of fields that may be left out here, though the request itself needs them.
        leave_out: fields that mean nothing here.
        explain: the command's help; its first line stands in the list of commands.
    """
    fixed, defaults = fixed or {}, defaults or {}
    own = [one for one in inspect.signature(act, eval_str=True).parameters.values() if one.kind is one.KEYWORD_ONLY]

    def run(**given: Any) -> None:  # noqa: ANN401 (whatever the options hold)
        extra = {one.name: given.pop(one.name) for one in own}
        chosen = {name: value for name, value in given.items() if value is not None}
        act(read_request(kind, {**fixed, **defaults, **chosen}), **extra)

    hidden = {*fixed, *leave_out}
    fields = {name: field for name, field in kind.model_fields.items() if name not in hidden}
    short = {name: form for name, form in SHORT_FORMS.items() if form.field in fields}
    parameters = [
        *(_argument(name, fields.pop(name)) for name in (argument,) if name is not None),
        *(_parameter(name, form.kind, form.help) for name, form in short.items()),
        *(
            _parameter(name, _type(field), str(field.description), defaults.get(name) or _default(field))
            for name, field in fields.items()
        ),
        *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__doc__ = explain
    return run


def read_request(kind: type[R], given: Mapping[str, Any]) -> R:
    """The request that options describe.

    Raises:
        UsageError: an option's value is not what it should be.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UsageError(f"{option(name)} {one_line(str(first['input']), 80)}: {_expected(dict(first))}") from None


def _expected(fault: Mapping[str, Any]) -> str:
    """What pydantic expected, in the project's words."""
    expected = fault.get("ctx", {}).get("expected")
    return f"expected {expected}" if expected else str(fault["msg"])


def _argument(name: str, field: FieldInfo) -> inspect.Parameter:
    described = typer.Argument(help=field.description, metavar=name.upper())
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=described, annotation=_type(field))


def _parameter(name: str, kind: type, explain: str, default: str | bool = False) -> inspect.Parameter:
    described = typer.Option(None, option(name), help=explain, show_default=default)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=described, annotation=kind | None)


def _type(field: FieldInfo) -> type:
    """What the terminal reads: numbers and paths as such, names and components as text, for the request to read."""
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind in _AS_THEY_ARE]
    return kinds[0] if kinds else str


def _default(field: FieldInfo) -> str | bool:
    """The default as the help shows it; False where there is none to show."""
    value = field.get_default()
    if isinstance(value, Mapping):
        value = value.get("use")
    return False if field.is_required() or value is None or value == () else str(value)
