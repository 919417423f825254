"""pip finds versions with which this project installs beside other people's trainers; nothing is installed.

python -m tests.environments.neighbours
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.environments import ROOT, environment, run

NEIGHBOURS = ("verl==0.9.1", "ms-swift==4.6.0", "trl")
SHOWN = ("verl", "ms_swift", "trl", "transformers", "huggingface_hub", "tokenizers", "accelerate", "peft", "numpy")


def main() -> None:
    """Print what pip would install of each neighbour; ends with status 1 where it finds nothing, or another torch."""
    python = environment(ROOT / ".venv-neighbours")
    for neighbour in NEIGHBOURS:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            run(python, "-m", "pip", "install", "--quiet", "--dry-run", "--report", str(report), str(ROOT), neighbour)
            installed = json.loads(report.read_text(encoding="utf-8"))["install"]
        found = {one["metadata"]["name"]: one["metadata"]["version"] for one in installed}
        other = sorted(name for name in found if name == "torch" or name.lower().startswith("nvidia"))
        assert not other, f"{neighbour}: pip would replace torch: {', '.join(other)}"
        shown = (f"{name} {found[name]}" for name in found if name.replace("-", "_") in SHOWN)
        print(f"{neighbour}: {len(found)} packages, among them {', '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
