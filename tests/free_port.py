"""A port for a test's own server or process group."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of this machine that nobody has taken."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
