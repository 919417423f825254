"""Joining a Ray cluster, or starting one on this machine for the length of a run."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from gotr1_eval.core.errors import RunError, UsageError, install_hint, one_line

OBJECT_STORE = 128 * 2**20
"""Bytes of shared memory of a cluster of our own: only numbers of parts travel through it."""
PATIENCE = 5.0
"""Seconds to wait for the cluster's address to answer."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_worker_niceness": "0",
}
"""Ray reads these when it is imported: nothing is reported to anyone, only what matters is printed, and workers have
the priority of any other process (Ray's own 15 leaves them next to nothing of a busy machine)."""


@contextmanager
def cluster() -> Iterator[ModuleType]:
    """Ray's module, joined to the cluster that RAY_ADDRESS names; to one on this machine where it names none.

    A process that has called `ray.init` already keeps its cluster.

    Raises:
        UsageError: Ray is not installed, or RAY_ADDRESS is no address.
        RunError: nobody answers there.
    """
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS", "local")
    check_address(address)
    own: dict[str, Any] = (
        {"include_dashboard": False, "object_store_memory": OBJECT_STORE} if address == "local" else {}
    )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except ValueError as error:
        raise UsageError(f"RAY_ADDRESS={address}: {one_line(error)}") from None
    except (ConnectionError, RuntimeError) as error:
        raise RunError(f"RAY_ADDRESS={address}: cannot join the Ray cluster: {one_line(error)}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _import_ray() -> ModuleType:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs Ray, which is not installed ({one_line(error)}): {install_hint('ray')}"
        ) from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return ray


def check_address(address: str) -> None:
    """Ask whether anyone listens there: Ray itself waits two minutes, and then ends the process.

    Raises:
        RunError: nobody does; nothing to ask for addresses without a port.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise RunError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there ({one_line(error)}); start one with `ray start "
            "--head`, or unset RAY_ADDRESS to run on this machine alone"
        ) from None
