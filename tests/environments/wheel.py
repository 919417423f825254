"""A wheel of the tree, in an empty environment and an empty folder: it has every file, and runs.

python -m tests.environments.wheel
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from tests.environments import CONSTRAINTS, ROOT, environment, pip, run

PACKAGES = ("gotr1_eval", "rewards", "benchmarks", "reports", "training")
INSIDE = """
import json
from importlib import resources
from gotr1_eval.core.plugins import BENCHMARKS
from rewards.reward_set import read_reward_set, shipped_sets

for name in shipped_sets():
    read_reward_set(name)
published = [name for name in BENCHMARKS.list() if (resources.files("benchmarks") / name / "published.csv").is_file()]
prompts = [file.name for file in (resources.files("rewards") / "prompts").iterdir()]
templates = [file.name for file in (resources.files("reports") / "templates").iterdir()]
print(json.dumps({
    "reward sets": len(shipped_sets()), "prompts": len(prompts), "templates": len(templates),
    "benchmarks with published rows": len(published),
}))
"""


def tracked() -> list[str]:
    """The files of the five packages, as git knows them."""
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split("\n")[:-1]


def copied(folder: Path) -> Path:
    """The tree as it is tracked, so that nothing of an earlier build comes along."""
    for name in (*tracked(), "pyproject.toml", "README.md", "LICENSE"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def main() -> None:
    """Print what was found; ends with status 1 where a file is missing or a command fails."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        python = environment(folder / "environment")
        run(
            python,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(folder),
            str(copied(folder / "tree")),
        )
        (wheel,) = folder.glob("*.whl")
        missing = sorted(set(tracked()) - set(zipfile.ZipFile(wheel).namelist()))
        assert not missing, f"not in the wheel: {', '.join(missing)}"
        print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, all {len(tracked())} files of the five packages")
        pip(python, "install", "--constraint", str(CONSTRAINTS), str(wheel))
        empty = folder / "empty"
        empty.mkdir()
        inside = json.loads(run(python, "-c", INSIDE, cwd=empty))
        print(", ".join(f"{count} {what}" for what, count in inside.items()))
        assert all(inside.values())
        command = str(python.with_name("gotr1-eval"))
        for arguments in (("list",), ("bench", "--list"), ("demo", "--limit", "2")):
            run(python, command, *arguments, cwd=empty)
            print("ran", "gotr1-eval", *arguments)
        page = (empty / "runs" / "demo" / "report.html").read_text(encoding="utf-8")
        assert "<style>" in page
        assert "<script" in page
        print(f"report.html: {len(page):,} characters")


if __name__ == "__main__":
    main()
