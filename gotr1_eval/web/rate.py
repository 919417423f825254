"""The page on which people rate a study: one HTML file, and a few routes of JSON behind it.

An answer is acknowledged (status 200) when it is on the disk, never before. On this machine no token is needed, but the
server answers only to its own name, so that no other web page can reach it through the browser (see `Guard`); elsewhere
everything needs the token of the link. Nothing that is sent names a model, a judge, a file or an id of the run.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.web.guard import protect
from gotr1_eval.web.rating_store import Answer, RatingStore, SessionTaken
from gotr1_eval.web.shown_items import ShownItems, introduction
from reports.agreement.study_folder import PREFERENCE, Dimension, Item, Study

MOST_BYTES = 65_536
"""Of one request."""
DRAWERS = 2
"""Pictures that are read or drawn at once: a large one takes several hundred megabytes while it is."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_log = logging.getLogger("uvicorn.error")
_FILES = {"/": ("rate.html", "text/html"), "/rate.css": ("rate.css", "text/css")}
_FILES |= {f"/{name}.js": (f"{name}.js", "text/javascript") for name in ("rate", "rate_saving", "rate_view")}


class Beginning(BaseModel):
    """A rater who comes, or comes back (`again`, or others could go on under a name by mistake)."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=200)
    again: bool = False


class Sent(BaseModel):
    """An answer as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    session: str = Field(max_length=100)
    key: str = Field(min_length=8, max_length=100)
    item: str = Field(max_length=100)
    dimension: str = Field(max_length=200)
    value: float | Literal["cannot"] | None
    seconds: float = Field(ge=0, le=86_400)


def create_app(folder: Path, study: Study, store: RatingStore, *, token: str | None = None) -> FastAPI:
    """The server.

    Args:
        token: that everyone must have been sent in a link; None for a server that only this machine reaches.
    """
    items = ShownItems(folder, study)
    drawing = asyncio.Semaphore(DRAWERS)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    cookie = f"rating-{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:8]}"

    protect(app, token=token, cookie=cookie, headers=HEADERS, most_bytes=MOST_BYTES)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        # The framework's own answer quotes the input, which JSON need not be able to hold: NaN, half a character.
        first = error.errors()[0]
        return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)

    @app.exception_handler(DataError)
    def unusable(request: Request, error: DataError) -> JSONResponse:
        # Whoever runs the server must know where; whoever rates must not, for paths name models.
        _log.error("%s", error)
        return JSONResponse({"detail": str(error).removeprefix(f"{error.path}: ")}, 503)

    @app.exception_handler(UsageError)
    def unfit(request: Request, error: UsageError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    def static(package: str, name: str, kind: str) -> Callable[[], Response]:
        text = (resources.files(package) / "templates" / name).read_text(encoding="utf-8")
        return lambda: Response(text, media_type=kind)

    for route, (name, kind) in _FILES.items():
        app.add_api_route(route, static("gotr1_eval.web", name, kind))
    app.add_api_route("/shell.css", static("reports", "shell.css", "text/css"))

    @app.get("/api/introduction")
    def told() -> list[str]:
        return introduction(study)

    @app.post("/api/begin")
    def begin(body: Beginning) -> dict[str, Any]:
        if not body.again and store.is_known(body.name):
            own = [one.item for one in store.assigned(body.name)]
            return {"known": True, "done": _done(study, store, body.name, own), "total": len(own)}
        name, session = store.begin(body.name)
        return {"name": name, "session": session, **_work(items, store, name)}

    @app.get("/api/items/{key}")
    def item(key: str) -> dict[str, Any]:
        return items.facts(_found(items, key))

    @app.get("/pictures/{key}.png")
    async def picture(key: str) -> Response:
        async with drawing:
            return _png(await asyncio.to_thread(items.picture, key))

    @app.get("/plans/{key}.png")
    async def plan(key: str) -> Response:
        async with drawing:
            return _png(await asyncio.to_thread(items.plan, _found(items, key)))

    @app.post("/api/answers")
    def answer(body: Sent) -> dict[str, str]:
        asked = _found(items, body.item)
        _check(study.dimensions_of(asked), body)
        value = body.value
        kept = Answer(key=body.key, item=asked.item, dimension=body.dimension, value=value, seconds=body.seconds)
        try:
            store.save(body.session, kept)
        except SessionTaken:
            raise HTTPException(409, "rated in another window") from None
        return {"saved": body.key}

    return app


def _work(items: ShownItems, store: RatingStore, name: str) -> dict[str, Any]:
    """What a rater has to do and has done."""
    study = items.study
    study_items = {item.item: item for item in study.items}
    given: dict[str, dict[str, Any]] = {}
    for (item, dimension), value in store.answers(name).items():
        given.setdefault(items.keys[item], {})[dimension] = value
    own = [(study_items[item], swapped) for item, swapped in store.assigned(name)]
    return {
        "study": hashlib.sha256(f"{study.name}\n{study.seed}".encode()).hexdigest()[:12],
        "order": [items.keys[item.item] for item, _ in own],
        "pictures": {items.keys[item.item]: items.sides(item)[:: -1 if swapped else 1] for item, swapped in own},
        "questions": {items.keys[item.item]: len(study.dimensions_of(item)) for item, _ in own},
        "answers": given,
        "dimensions": [_question(dimension) for dimension in study.dimensions],
    }


def _question(dimension: Dimension) -> dict[str, Any]:
    """A dimension without the judge that it belongs to."""
    return {
        "name": dimension.name,
        "rubric": dimension.rubric,
        "marks": [{"key": key, "value": value, "words": words} for key, value, words in _marks(dimension)],
        "needs": dimension.needs,
    }


def _marks(dimension: Dimension) -> list[tuple[str, float, str]]:
    """(what is typed for it, its value, what its button says); of a pair the left picture's is 1."""
    if dimension.name == PREFERENCE:
        return [("1", 1.0, "left"), ("2", 0.5, "no difference"), ("3", 0.0, "right")]
    return [(f"{mark:g}", mark, f"{mark:g}") for mark in dimension.marks()]


def _done(study: Study, store: RatingStore, name: str, own: Sequence[str]) -> int:
    """How many of the rater's own items are finished."""
    given = store.answers(name)
    items = [item for item in study.items if item.item in {*own}]
    return sum(all((item.item, one.name) in given for one in study.dimensions_of(item)) for item in items)


def _found(items: ShownItems, key: str) -> Item:
    item = items.find(key)
    if item is None:
        raise HTTPException(404, "no such item in this study")
    return item


def _check(dimensions: tuple[Dimension, ...], body: Sent) -> None:
    """Refuse what is no answer to a question about the item."""
    dimension = next((one for one in dimensions if one.name == body.dimension), None)
    if dimension is None:
        raise HTTPException(422, f"nothing called {body.dimension!r} is asked about this item")
    if isinstance(body.value, float) and not any(math.isclose(body.value, mark) for mark in dimension.marks()):
        raise HTTPException(422, f"{body.value:g} is no mark of {body.dimension!r}")


def _png(content: bytes | None) -> Response:
    if content is None:
        raise HTTPException(404, "nothing to show")
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})
