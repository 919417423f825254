"""Any painter behind servers of OpenAI's images interface (a vendor's own, vLLM-omni, SGLang), one or a fleet."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

from PIL import Image
from pydantic import AfterValidator, Field, model_validator

from gotr1_eval.core.errors import BackendError, BudgetError, UsageError, one_line
from gotr1_eval.core.identifiers import encodable, fingerprint
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.protocols import Generated, Spent, TokenBudget, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.pictures import PictureError, open_picture
from gotr1_eval.models.servers.connection import Budget, api_key, open_fleet, read_headers, served_names
from gotr1_eval.models.servers.fleet import Fleet, Server
from gotr1_eval.models.servers.replies import NOT_TAKEN, read_reply
from gotr1_eval.models.servers.retrying import PassingError, RefusedError, RejectedError
from gotr1_eval.models.servers.settings import ServerSettings

CAN = ("batches", "takes seeds")
VERSION = 1
MOST_BYTES = 2**27
"""Of a reply: a picture of 64 megapixels, in PNG and base64, is hardly larger."""
_SEEDS = 2**31
_OPTIONAL = ("response_format", "seed")
"""What is left out where a server says that it does not take it."""
_STRINGS = {"model", "prompt", "n", "size", "quality", "response_format"}
"""Parameters of OpenAI's own; all others go into the body as they are."""


def _size(given: str) -> str:
    """Raises ValueError: it is not ``1024x1024``."""
    if given and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", given):
        raise ValueError("expected width and height, such as 1024x1024")
    return given


class Settings(ServerSettings):
    """Which servers and model, and what is asked of them; see also `ServerSettings`.

    Attributes:
        size: ``1024x1024``, width and height in pixels; empty leaves it to the server. A picture of another size is a
            failure.
        quality: as the server knows it; empty leaves it to the server.
        seeds: whether to send each sample's seed; found out at the first picture where a server names it.
        omit: further parameters that the server does not take, such as `response_format`.
        price: of a picture.
        budget_images: pictures after which the run stops.
    """

    undeciding = frozenset(ServerSettings.model_fields) - {"extra_body"} | {"price", "budget_images"}

    timeout_s: float = Field(300.0, gt=0)
    workers: int = Field(4, ge=1)
    size: Annotated[str, AfterValidator(_size)] = ""
    quality: str = ""
    seeds: bool = True
    omit: tuple[str, ...] = ()
    price: float = Field(0.0, ge=0)
    budget_images: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _priced(self) -> Settings:
        if self.budget_cost is not None and self.price == 0:
            raise ValueError("budget_cost needs the price of a picture")
        return self


class ServedImages:
    """A painter behind servers; see `gotr1_eval.core.protocols.Generator`. No address is part of its fingerprint.

    Every picture is asked for alone, with its own seed.
    """

    independent = True

    def __init__(self, settings: Settings) -> None:
        """Asks nothing yet. Raises UsageError when the key or a header cannot be sent."""
        api_key(settings), read_headers(settings)
        self._settings = settings
        self._omitted = frozenset(settings.omit) | (frozenset() if settings.seeds else {"seed"})
        self._budget = Budget(
            settings.budget_images, settings.budget_cost, (0.0, settings.price), unit="pictures", whose="the painter's"
        )
        self._learning = threading.Lock()
        self._painted, self._rejections = False, 0
        self.name = settings.model.rstrip("/").rpartition("/")[2]

    @cached_property
    def fingerprint(self) -> str:
        """Of the model's name and stated revision, what is asked for, and this code's version."""
        kept = self._settings.model_dump(include={"model", "revision", "size", "quality", "seeds", "extra_body"})
        return f"{self.name}-{fingerprint({'version': VERSION, **kept})}"

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """One picture a prompt, or why there is none: `NOT_GENERATED` where the server will never paint it, `BACKEND`
        where every attempt failed.

        Raises:
            UsageError: address, model name or key are wrong, or the servers take no request at all.
            BackendError: no server answers anything.
            BudgetError: the budget was spent before.
        """
        if len(prompts) != len(seeds):
            raise UsageError(f"as many seeds as prompts are needed, got {len(seeds)} for {len(prompts)}")
        if not prompts:
            return []
        self._budget.check()
        found = self._fleet.each(list(zip(prompts, seeds, strict=True)), lambda one: self._paint(*one))
        rejected = [error for error in found if isinstance(error, RejectedError) and not error.declined]
        self._rejections += len(rejected)
        # One prompt may be odd; where several are rejected and none was ever painted, it is what is sent beside them.
        if not self._painted and self._rejections > 1:
            raise UsageError(
                f"{self.name}: no picture is painted: {rejected[0]}; the settings size, quality, omit and extra_body "
                "say what is sent (docs/generators.md)"
            )
        return [one if isinstance(one, Generated) else _missing(one) for one in found]

    def ready(self) -> None:
        """Nothing is asked before the first picture, which would have to be paid for."""

    def traffic(self) -> str:
        """What the servers are doing, for a line of progress."""
        return f"{self.name}: {self._fleet.traffic()}, {self._budget}"

    def spent(self) -> Spent:
        """What the servers counted, see `gotr1_eval.core.protocols.Metered`."""
        return self._budget.told(self.name)

    def _paint(self, prompt: str, seed: int) -> Generated | BackendError | BudgetError:
        """The picture, or what stood against it; raises what stands against all others, too."""
        while True:
            body = self._body(prompt, seed)
            try:
                made = self._fleet.ask(lambda server, body=body: self._send(server, body))  # type: ignore[misc]
            except RejectedError as error:
                if self._learn(error.complaint, body):
                    continue
                return error
            except (BackendError, BudgetError) as error:
                return error
            except RefusedError as error:
                raise UsageError(f"{error}{self._advice(error.state)}") from None
            self._painted = True
            return made

    def _body(self, prompt: str, seed: int) -> dict[str, Any]:
        settings = self._settings
        asked = {
            "model": settings.model, "prompt": encodable(prompt), "n": 1, "size": settings.size,
            "quality": settings.quality, "response_format": "b64_json", "seed": seed % _SEEDS,
        }  # fmt: skip
        return {name: value for name, value in asked.items() if value != "" and name not in self._omitted}

    def _learn(self, complaint: str, sent: Mapping[str, Any]) -> bool:
        """Whether a server complains of a parameter that can be left out; it is, from now on."""
        named = [name for name in _OPTIONAL if name in sent and re.search(rf"\b{name}\b", complaint)]
        if not named or not NOT_TAKEN.search(complaint):
            return False
        with self._learning:
            self._omitted |= {*named}
        return True

    def _send(self, server: Server, body: Mapping[str, Any]) -> Generated:
        """One attempt at one server."""
        self._budget.check()
        sent = {name: value for name, value in body.items() if name in _STRINGS}
        more = {name: value for name, value in body.items() if name not in _STRINGS} | self._settings.extra_body
        reply = server.client.images.with_raw_response.generate(**sent, extra_body=more or None)
        whole = read_reply(reply.http_response.content, "a picture")
        entry = _first(whole)
        self._budget.spend(0, 1)  # before anything is found wrong with the picture: it was paid for all the same
        image = _decoded(entry.get("b64_json"))
        size = "{}x{}".format(*image.size)
        if self._settings.size not in ("", size):
            raise BackendError(f"expected a picture of {self._settings.size}, got {size} (setting size)")
        meta: dict[str, Json] = {"seed_sent": body.get("seed")}
        if isinstance(revised := entry.get("revised_prompt"), str) and revised:
            meta["revised_prompt"] = revised
        return Generated(image=image, meta=meta)

    def _advice(self, state: int) -> str:
        """Which models there are, where the server refuses everything and lists some."""
        names = served_names(self._fleet.servers[0].client) if state == 404 else None
        return f" (it serves: {', '.join(map(repr, names[:12]))})" if names else ""

    @cached_property
    def _fleet(self) -> Fleet:
        return open_fleet(self, self._settings, self._probe, MOST_BYTES)

    def _probe(self, server: Server) -> object:
        """The small question of a server that was left out: its list of models costs nothing.

        Raises:
            PassingError: it has none.
        """
        names = served_names(server.client)
        if names is None:
            raise PassingError("it lists no models")
        return names


def _first(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of the first picture.

    Raises:
        RejectedError: the reply says instead that the prompt was declined.
        BackendError: there is none.
    """
    entries = whole.get("data")
    entry = entries[0] if isinstance(entries, list) and entries else None
    if isinstance(entry, dict) and (entry.get("b64_json") or entry.get("url")):
        return entry
    seen = one_line(str({**whole, "data": entries}), 160)
    if re.search(r"content_filter|content_policy|moderation|safety|nsfw", seen, re.IGNORECASE):
        raise RejectedError(f"it sent no picture ({seen})", complaint=seen, declined=True)
    raise BackendError(f"expected a picture, got {seen}")


def _decoded(data: object) -> Image.Image:
    """The picture of base64 data, whole and in RGB.

    Raises:
        BackendError: it is none, or half of one.
    """
    if not isinstance(data, str):
        raise BackendError(
            "expected a picture in the reply (b64_json), got the address of one; is response_format taken?"
        )
    try:
        return open_picture(base64.b64decode(data.partition("base64,")[2] or data, validate=True))
    except (binascii.Error, PictureError) as error:
        raise BackendError(f"the picture cannot be read: {one_line(error, 120)}") from None


def _missing(error: BackendError | BudgetError) -> Generated:
    """No picture, and why: a server that understood will never paint it, anything else passes."""
    if not isinstance(error, RejectedError):
        return Generated(image=None, missing=Unscored(why=Why.BACKEND, detail=str(error)))
    word = "declines" if error.declined else "rejects"
    return Generated(image=None, missing=Unscored(why=Why.NOT_GENERATED, detail=f"the server {word}: {error}"))


def token_budget(settings: Settings) -> TokenBudget:
    """Servers count pictures."""
    return TokenBudget(chain_at_most=0, image=0)


def build(settings: Settings, workshop: Workshop) -> ServedImages:
    """The painter; needs nothing from the workshop, and asks the server nothing yet."""
    return ServedImages(settings)
