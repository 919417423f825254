"""What all tests share: the folder of shared reference data, and a count of what was read from it."""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# No test may reach the network, nor wait for a library that tries to: set before any of them is imported.
os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Test processes side by side share the cores: threads of each would only wait for those of the others.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(os.environ.get("GOTR1_SHARED", "../shared")).absolute()
_read: set[Path] = set()
_verdict: list[int] = []


def shared_files(pattern: str) -> list[Path]:
    """Every shared file of a schema; none where the folder is absent."""
    return sorted(SHARED.glob(pattern))


def shared_parameters(pattern: str) -> list[object]:
    """Test parameters, one a shared file; one skipped parameter with the reason where there is none."""
    files = shared_files(pattern)
    if not files:
        reason = f"no {pattern} under {SHARED} (set GOTR1_SHARED)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")]
    return [pytest.param(path, id=path.name) for path in files]


def rows(text: str, kind: str | None = None) -> list[dict[str, Any]]:
    """The objects of a shared file of JSON lines, of one type where a file has several; there is at least one."""
    found = [row for row in map(json.loads, text.splitlines()) if kind is None or row["type"] == kind]
    assert found, kind
    return found


@pytest.fixture
def read_shared() -> Callable[[Path], str]:
    """Reads a shared file as text, and counts it."""

    def read(path: Path) -> str:
        _read.add(path)
        return path.read_text(encoding="utf-8")

    return read


@pytest.fixture
def count_shared() -> Callable[[Path], Path]:
    """Counts a shared file that is read by other means."""

    def count(path: Path) -> Path:
        _read.add(path)
        return path

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much of the shared data this run has checked against."""
    terminalreporter.write_line(f"shared reference files read: {len(_read)} (from {SHARED})")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the verdict for the end of the process; one of several processes also tells the first what it has read."""
    _verdict.append(int(exitstatus))
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["shared"] = [str(path) for path in _read]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add up what the processes have read; one that crashed tells nothing."""
    _read.update(map(Path, getattr(node, "workeroutput", {}).get("shared", ())))


@atexit.register
def leave_without_unloading() -> None:
    """End the process of a suite that passed before its native libraries are unloaded.

    Thread pools of Arrow, OpenMP and others now and then abort there, and a suite that passed would read as failed.
    Registered before any of them is imported, so that this runs after what they do at exit.
    """
    if _verdict == [0] and not hasattr(sys, "last_value"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
