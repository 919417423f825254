"""All runs of a folder in the browser: every view is a page with an address, made when it is asked for.

The server reads and never writes a run; pages load nothing from elsewhere, and only this machine is answered unless
there is a token.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response

from gotr1_eval.core.errors import DataError, GotR1Error, UsageError
from gotr1_eval.files.pictures import PictureError
from gotr1_eval.web.guard import protect
from reports.run_data import load_run
from reports.thumbnails import shrink
from reports.viewer.pages import (
    TABLES,
    board_page,
    fault_page,
    list_page,
    run_page,
    sample_page,
    samples_page,
    search_page,
)
from reports.viewer.run_samples import RunSamples, Wanted, state_of
from reports.viewer.runs_folder import RunsFolder
from reports.viewer.search import SearchIndex

MOST_BYTES = 4096
"""Of one request: pages are asked for by their address alone."""
KEPT = 16
"""Runs whose samples are held in memory."""
SIDE_BY_SIDE = 12
"""Most runs on one page of pictures."""
NONE_CHOSEN = "No run is chosen: go back to the list, and tick one or more."
EVERY = 3.0
"""Seconds between two looks of the index at the runs."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_log = logging.getLogger("uvicorn.error")
Names = Annotated[list[str], Query(alias="run")]


class Viewer:
    """What the pages are made from: the runs, the samples of the last few, and the index of texts.

    Args:
        index: of the texts of all runs; follows them in a thread of its own once `follow` was called.
    """

    def __init__(self, runs: RunsFolder, index: SearchIndex) -> None:
        self.runs, self.index = runs, index
        self.progress = ""
        self._held: OrderedDict[str, RunSamples] = OrderedDict()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def follow(self) -> None:
        """Begin to index, and to keep the index up to date."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and close the index."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.index.close()

    def _follow(self) -> None:
        def report(done: int, total: int) -> None:
            self.progress = f"The index is being made: {done / max(total, 1):.0%} of {total / 1e6:,.0f} MB."
            if self._stop.is_set():
                raise InterruptedError

        while not self._stop.is_set():
            try:
                self.runs.rows()
                self.index.update(report)
            except InterruptedError:
                return
            except (GotR1Error, OSError, ValueError, KeyError) as error:
                _log.error("the index of the runs: %s", error)
            self.progress = ""
            self._stop.wait(EVERY)

    def samples(self, name: str) -> RunSamples:
        """The samples of a run as they are now.

        Raises:
            DataError: there is no such run, or it cannot be read.
        """
        folder = self.runs.folder(name)
        with self._lock:
            held = self._held.get(name)
            if held is None or held.state != state_of(folder):
                held = RunSamples(folder)
            self._held[name] = held
            self._held.move_to_end(name)
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
        return held


def create_app(viewer: Viewer, *, token: str | None = None) -> FastAPI:
    """The server.

    Args:
        token: that everyone must have been sent in a link; None for a server that only this machine reaches.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    cookie = f"view-{hashlib.sha256(str(viewer.runs.root).encode()).hexdigest()[:8]}"

    protect(app, token=token, cookie=cookie, headers=HEADERS, most_bytes=MOST_BYTES)

    @app.exception_handler(DataError)
    def absent(request: Request, error: DataError) -> Response:
        return HTMLResponse(fault_page(str(error)), 404)

    @app.exception_handler(UsageError)
    def unfit(request: Request, error: UsageError) -> Response:
        return HTMLResponse(fault_page(str(error)), 422)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        chosen = first["loc"][-1] != "run" or first["type"] != "missing"
        told = f"The address is not one of a page: {first['loc'][-1]}: {first['msg']}." if chosen else NONE_CHOSEN
        return HTMLResponse(fault_page(told), 422)

    @app.get("/")
    def everything() -> HTMLResponse:
        return HTMLResponse(list_page(viewer.runs.rows(at_once=True), str(viewer.runs.root)))

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/api/runs")
    def states() -> list[dict[str, Any]]:
        return [row.json() for row in viewer.runs.rows(at_once=True)]

    @app.get("/page")
    def page(run: str) -> HTMLResponse:
        return HTMLResponse(run_page(viewer.runs.folder(run)))

    @app.get("/samples")
    def samples(
        runs: Names, q: str = "", category: str = "", judge: str = "", order: str = "run", page: int = 1
    ) -> HTMLResponse:
        names = _several(runs, SIDE_BY_SIDE)
        held = {name: viewer.samples(name) for name in names}
        return HTMLResponse(samples_page(held, _titles(held), Wanted(q, category, judge, order), page))

    @app.get("/steps")
    def steps(run: str) -> HTMLResponse:
        names = viewer.runs.evaluations(run)
        if not names:
            raise DataError("no held-out evaluation of this training yet", path=viewer.runs.folder(run))
        every = -(-len(names) // SIDE_BY_SIDE)
        shown = [*names[::-1][::every][::-1]]
        held = {name: viewer.samples(name) for name in shown}
        return HTMLResponse(samples_page(held, {name: name.rpartition("/")[2] for name in shown}, Wanted(), 1))

    @app.get("/sample")
    def sample(runs: Names, id: str) -> HTMLResponse:  # noqa: A002 (the address says id)
        names = _several(runs, SIDE_BY_SIDE)
        held = {name: viewer.samples(name) for name in names}
        there = {name: one.run_of([one.places[id]]) for name, one in held.items() if id in one.places}
        if not there:
            raise DataError(f"no sample {id[:200]!r}", path=viewer.runs.folder(names[0]))
        return HTMLResponse(sample_page(id, there, _titles(held)))

    @app.get("/search")
    def search(q: str = "") -> HTMLResponse:
        hits, more = viewer.index.search(q)
        return HTMLResponse(search_page(q, hits, more=more, progress=viewer.progress))

    @app.get("/board")
    def board(runs: Names) -> HTMLResponse:
        names = _several(runs, TABLES)
        return HTMLResponse(board_page([load_run(viewer.runs.folder(name)) for name in names], names))

    @app.get("/picture")
    def picture(run: str, id: str) -> Response:  # noqa: A002
        held = viewer.samples(run)
        (found,) = held.samples([held.places[id]]) if id in held.places else (None,)
        if found is None or found.image is None:
            raise DataError(f"no picture of {id[:200]!r}", path=held.folder)
        try:
            small = shrink(found.image)
        except PictureError as error:
            raise DataError(f"the picture of {id[:200]!r}: {error}", path=held.folder) from None
        return Response(small.data, media_type=f"image/{small.kind}", headers={"Cache-Control": "private, max-age=600"})

    return app


def _titles(held: Mapping[str, RunSamples]) -> dict[str, str]:
    """Run -> what its pages call it."""
    return {name: run.title for name, run in held.items()}


def _several(names: Sequence[str], most: int) -> list[str]:
    """The runs of an address, each once.

    Raises:
        UsageError: there are more than one page shows.
    """
    found = list(dict.fromkeys(names))
    if len(found) > most:
        raise UsageError(f"{len(found)} runs: a page shows at most {most}; choose fewer")
    return found
