"""Settings that a judge and a generator behind servers share."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gotr1_eval.core.secrets import redact
from gotr1_eval.settings import Settings as StrictSettings

_PATHS = ("/chat/completions", "/images/generations")
"""What the client appends, and people copy along."""


def _address(given: str) -> str:
    """The address without blanks around it and without the path that the client appends.

    Raises:
        ValueError: no server can have it.
    """
    address = given.strip().rstrip("/")
    for path in _PATHS:
        address = address.removesuffix(path)
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or any(char.isspace() for char in address):
        raise ValueError(f"expected an address such as http://127.0.0.1:8000/v1, got {redact(given)!r}")
    return address


def _variable_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        # Perhaps it is the key itself, which nobody should see.
        raise ValueError("expected the name of an environment variable that holds the key, and got something else")
    return name


VariableName = Annotated[str, AfterValidator(_variable_name)]
"""The name of an environment variable; what is none is refused without being shown."""

_Urls = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...],
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
]


class ServerSettings(StrictSettings):
    """Which servers and model, how patiently to ask, and what it may cost.

    Attributes:
        base_url: with the version, ``http://127.0.0.1:8000/v1``; a list is a fleet of servers that offer the same
            model and revision under the same name.
        model: the name under which every server offers it.
        revision: of the model behind that name, where you know it; part of the fingerprint, not sent.
        api_key_env: environment variable with the key; servers of your own need none. A name and a password in the
            address (``http://name:password@host/v1``) are sent instead, where there are any.
        headers: sent with every request, ``{x-api-key = "$MY_KEY"}``; ``$NAME`` alone is read from the environment.
        workers: requests under way at a time, on each server.
        timeout_s: seconds of silence after which an attempt has failed.
        retries: attempts after the first one; in a fleet an attempt asks every well server once.
        first_wait_s: seconds before the first retry, doubled before each further one.
        eject_after: failures in a row after which a server of a fleet is left out.
        probe_s: seconds after which a server that was left out is asked again, doubled each time, at most a minute.
        budget_cost: what the answers may cost together, by the prices, after which the run stops.
        extra_body: sent with every request beside what OpenAI defines, such as ``{min_p = 0.0}``.
    """

    base_url: _Urls = Field(min_length=1)
    model: str
    revision: str = ""
    api_key_env: VariableName = "OPENAI_API_KEY"
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    workers: int = Field(16, ge=1)
    timeout_s: float = Field(120.0, gt=0)
    retries: int = Field(5, ge=0)
    first_wait_s: float = Field(1.0, ge=0)
    eject_after: int = Field(3, ge=1)
    probe_s: float = Field(1.0, gt=0)
    budget_cost: float | None = Field(None, gt=0)
    extra_body: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_once(self) -> ServerSettings:
        if len(set(self.base_url)) < len(self.base_url):
            raise ValueError("a server is named twice")
        return self
