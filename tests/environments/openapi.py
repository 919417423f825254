"""schemathesis sends the reward server what its /openapi.json allows, and what it does not; no answer may be a 5xx.

python -m tests.environments.openapi [--seconds 300]

The server runs in this environment, schemathesis in one of its own. Judges of the shapes world read chains, plans and
pictures; a judge that failed would be told in an answer 200, or by 503 for a batch, which is then a finding, too.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.environments import ROOT, environment, pip

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "negative_data_rejection",
)  # fmt: skip
RELEASE = "schemathesis==4.32.5"


def main() -> int:
    """The exit code of schemathesis, 1 if the server has not lived through it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    seconds = parser.parse_args().seconds
    python = environment(ROOT / ".venv-openapi")
    pip(python, "install", RELEASE)
    command = [sys.executable, "-m", "gotr1_eval", "serve", "--judges", "shapes", "--port", "0", "--unscored", "omit"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://[\d.:]+", server.stdout.readline())
            assert address is not None
            sent = [
                str(Path(python).with_name("st")), "run", f"{address[0]}/openapi.json", "--checks", ",".join(CHECKS),
                "--max-time", str(seconds), "--workers", "2", "--continue-on-failure",
            ]  # fmt: skip
            plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            code = subprocess.run(sent, env=plain, check=False, cwd=python.parent).returncode
            return code or int(server.poll() is not None)
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
