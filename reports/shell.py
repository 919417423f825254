"""What every page has in common: one HTML file, everything inside, all else forbidden.

A page is a Jinja template that extends `shell.html`. Its style and its script are files of the templates folder,
inlined and named to the browser by their hashes: no other script and no other style runs, whatever a prompt, a chain
or a reply holds. There are therefore no style attributes: what varies is a class, an SVG attribute, or set by the
script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from gotr1_eval.core.canvas import hex_colour
from reports import svg

if TYPE_CHECKING:
    import jinja2

COLOURS = 24
"""Objects of a plan with a colour class of their own (`c0`, `c1`, ...); later ones start again."""


def render(
    template: str,
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    beside: bool = False,
    served: bool = False,
    package: str = "reports",
    **context: object,
) -> str:
    """The page's HTML; everything in `context` is escaped.

    Args:
        template: a file of the templates folder that extends ``shell.html``.
        styles, scripts: files of the templates folder, after the shell's own style.
        beside: the page may load pictures that lie beside it, and its script may load scripts that do.
        served: a server of ours answers it: pictures, questions of its script and its forms go there.
        package: whose templates folder holds the template, the styles and the scripts; those of reports may be named,
            too.
    """
    style = "\n".join([_text("shell.css"), _colour_classes(), *(_text(name, package) for name in styles)])
    script = "\n".join(_text(name, package) for name in scripts)
    shell = {"policy": policy(style, script, beside=beside, served=served), "style": style, "script": script}
    return _environment(package).get_template(template).render(shell=shell, **context)


def policy(style: str, script: str, *, beside: bool = False, served: bool = False) -> str:
    """The Content-Security-Policy: this style, this script, pictures inside the page, and nothing else."""
    allowed = [f"'{_hash(script)}'", *(["'strict-dynamic'"] if beside else [])] if script else ["'none'"]
    pictures = "data: 'self'" if beside or served else "data:"
    asked = ["connect-src 'self'", "form-action 'self'"] if served else ["form-action 'none'"]
    return "; ".join(
        [
            "default-src 'none'",
            "base-uri 'none'",
            *asked,
            f"img-src {pictures}",
            f"style-src '{_hash(style)}'",
            f"script-src {' '.join(allowed)}",
        ]
    )


def script_json(value: object) -> str:
    """Strict JSON that can stand inside a script element: no text in it can end the element or open a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def colour_class(index: int) -> str:
    """The class that carries the colour of a plan's index-th object, in the property ``--object``."""
    return f"c{index % COLOURS}"


def _colour_classes() -> str:
    return "\n".join(f".c{index} {{ --object: {hex_colour(index)}; }}" for index in range(COLOURS))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _text(name: str, package: str = "reports") -> str:
    own = resources.files(package) / "templates" / name
    return (own if own.is_file() else resources.files("reports") / "templates" / name).read_text("utf-8")


@cache
def _environment(package: str) -> jinja2.Environment:
    # Imported here: jinja2 is needed for pages alone, and reading runs should stay light.
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in dict.fromkeys((package, "reports"))]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["script_json"] = lambda value: markupsafe.Markup(script_json(value))
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["number"] = svg.plain
    environment.filters["tick"] = svg.tick_text
    environment.globals["colour_class"] = colour_class
    return environment
