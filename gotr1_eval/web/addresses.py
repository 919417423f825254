"""Where a server listens, and whom it answers."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from gotr1_eval.core.errors import UsageError

TOKEN = "GOTR1_EVAL_TOKEN"


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine alone."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        UsageError: it cannot: taken, forbidden, or no address of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(
            f"--host {host} --port {port}: cannot listen there: {error.strerror}; choose another"
        ) from None


def address(host: str, listener: socket.socket) -> str:
    """The server's address as clients write it, such as ``http://127.0.0.1:8780``."""
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def token_of_environment() -> str | None:
    """What GOTR1_EVAL_TOKEN holds, without the blanks or the line end that a file brought along; None without it.

    Raises:
        UsageError: it could not stand in a header or a link.
    """
    token = os.environ.get(TOKEN, "").strip()
    if not all("!" <= character <= "~" for character in token):
        raise UsageError(f"{TOKEN} may hold printable ASCII characters without blanks only")
    return token or None


def refusal(method: str, headers: Mapping[str, str], *, only_loopback: bool) -> tuple[int, str] | None:
    """(status, reason) when a request's headers show that another web page sent it; None when it may be answered.

    Without a token a server answers to the names of this machine alone: a page of another site can make the browser
    send requests here, under its own name where it lets that name point to this machine (DNS rebinding), or as a form
    or a script across sites, which gives itself away by its Origin or by a content type other than JSON.

    Args:
        headers: by lower-case name.
        only_loopback: the server has no token that would tell friends from strangers.
    """
    host = headers.get("host", "")
    if only_loopback and not is_loopback(_name(host)):
        return 403, f"this server is not {host!r}"
    origin = headers.get("origin")
    if origin is not None and (not host or origin.partition("://")[2] != host):
        return 403, "asked by another page"
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method not in ("GET", "HEAD") and kind != "application/json":
        return 415, f"expected the header Content-Type: application/json, got {kind or 'none'!r}"
    return None


def _name(host: str) -> str:
    """The name or address of a Host header without its port; empty where it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
