"""Strict settings: pydantic models in which an unknown key is an error, and TOML files that fill them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from gotr1_eval.core.errors import DataError, UsageError, nearest_name, one_line
from gotr1_eval.core.secrets import register_settings
from gotr1_eval.core.types import Json


class Settings(BaseModel):
    """The base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    undeciding: ClassVar[frozenset[str]] = frozenset()
    """Of a generator's settings those that change no picture (a device, an address), or that its fingerprint holds by
    their content: a run resumes when they differ."""
    holds_judges: ClassVar[frozenset[str]] = frozenset()
    """Of a judge's settings those that are judges themselves: a common model is filled into them, too."""


def read_component(text: str, where: str = "component") -> dict[str, Json]:
    """The plug-in that a text describes: ``clip``, or ``clip,model=/weights/clip,device=cuda``.

    Numbers and truth values are read as such, everything else as text. A name with a dot reaches into a setting:
    ``writer,painter=janus,painter.ckpt=tiny-janus``. In place of the plug-in's name a TOML file may stand that holds
    its settings, ``use = "writer"`` among them.

    Args:
        where: names the origin in the message (an option, a setting).

    Raises:
        UsageError: a part is no ``setting=value``, or a file names no plug-in.
        DataError: a file cannot be read or is no TOML.
    """
    name, *parts = text.split(",")
    spec: dict[str, Json] = {"use": name.strip()}
    if name.strip().endswith(".toml"):
        spec = read_toml(Path(name.strip()))
        if not isinstance(spec.get("use"), str):
            raise UsageError(f'{where} {name.strip()}: expected a plug-in\'s settings, use = "its name" among them')
    for part in parts:
        key, equals, value = part.partition("=")
        if not (equals and key.strip()):
            raise UsageError(f"{where} {text}: expected name,setting=value,... and got {part!r}")
        *tables, last = key.strip().split(".")
        inside = spec
        for name in tables:
            found = inside.get(name, {})
            # A plug-in may have been named by the text before.
            table: dict[str, Json] = found if isinstance(found, dict) else {"use": found}
            inside[name] = table
            inside = table
        inside[last] = _value(value)
    return spec


def _value(text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _as_component(value: object) -> object:
    return read_component(value) if isinstance(value, str) else value


Component = Annotated[dict[str, Any], BeforeValidator(_as_component)]
"""Settings of a plug-in: ``{use = "shapes", ...}``, or the same as a text, ``"shapes"`` or ``"name,setting=value"``."""

S = TypeVar("S", bound=Settings)


def read_settings(kind: type[S], values: Mapping[str, Any], *, where: str) -> S:
    """Fill a settings class from plain values.

    Args:
        where: names the origin in the message (a file, ``--judges``).

    Raises:
        UsageError: an unknown key, a missing one, or a value of the wrong type; one line for the first fault.
    """
    register_settings(values)  # before anything can go wrong and be told
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            fields = _settings_at(kind, first["loc"]).model_fields
            hint = nearest_name(str(first["loc"][-1]), fields)
            known = ", ".join(fields) or "none"
            raise UsageError(f"{where}: unknown setting {key!r}{hint} (known: {known})") from None
        told = first["msg"].removeprefix("Value error, ")
        if not key:  # settings that do not fit together, and name themselves
            raise UsageError(f"{where}: {told}") from None
        # Under the name of a variable a key may stand, by mistake.
        shown = first["type"] != "missing" and not key.endswith("_env")
        came = f", got {one_line(repr(first['input']), 80)}" if shown else ""
        raise UsageError(f"{where}: setting {key!r}: {told}{came}") from None


def _settings_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    """The class in which a setting was unknown; keys of tables in between have no class of their own."""
    for part in place[:-1]:
        field = kind.model_fields.get(str(part))
        kind = (_nested(field.annotation) if field else None) or kind
    return kind


def _nested(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 (any annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_nested, get_args(annotation))), None)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        DataError: the file cannot be read or is not TOML; names the file and, where known, the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read the settings file: {error.strerror}", path=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not a TOML file: {one_line(error)}", path=path) from None
