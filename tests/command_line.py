"""The command line for tests: in this process, where its packages are loaded already, or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from gotr1_eval.__main__ import main

SCRIPT = Path(sys.executable).with_name("gotr1-eval")


def start(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the console script does, and return its exit code and what it printed."""
    command = [str(SCRIPT), *map(str, arguments)]
    printed, told = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", command),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(told),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int), code
    return subprocess.CompletedProcess(command, code, printed.getvalue(), told.getvalue())


def start_process(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    command = [str(SCRIPT), *map(str, arguments)]
    environment = os.environ | environment
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, env=environment, check=False)
