"""The Ray engine over small pictures: peak memory of the driver and of every worker, seconds, and equal rows.

Each run is a process of its own on a local cluster of two workers: manifest, judging, JSON lines, table, report page.
Memory is the peak of private pages (what the process does not share with others), sampled ten times a second from
/proc, and the kernel's own peak of resident memory. Run

    OMP_NUM_THREADS=1 python -m tests.perf.ray_engine [--rows 2000 20000] [--folder DIR] [--judges NAMES] [--local]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image

from gotr1_eval.files.jsonl import append_rows
from tests.run_rows import CHAIN, run_rows

COLOURS = ("red", "green", "blue", "yellow")


def write_manifest(folder: Path, rows: int) -> Path:
    """So many pictures of 32 pixels, every one with a prompt of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "list.jsonl"
    if not manifest.exists():
        for index in range(rows):
            Image.new("RGB", (32, 32), COLOURS[index % 4]).save(folder / f"{index}.png")
        append_rows(manifest, map(picture_row, range(rows)))
    return manifest


def picture_row(index: int) -> dict[str, str]:
    prompt = f"a {COLOURS[index % 4]} circle on the left of a blue square, {index}"
    return {"prompt": prompt, "image": f"{index}.png", "chain": CHAIN}


def score(manifest: Path, out: Path, engine: str, judges: str) -> tuple[float, dict[str, tuple[float, float]]]:
    """Seconds of `gotr1-eval score`, and (private, resident) peaks in MiB of the driver and of the largest worker."""
    command = [sys.executable, "-m", "gotr1_eval", "score", str(manifest), "--judges", judges]
    command += ["--engine", engine, "--out", str(out), "--min-coverage", "0"]
    with tempfile.TemporaryDirectory(prefix="ray-") as temporary:
        start = time.perf_counter()
        driver = subprocess.Popen(
            command, env=os.environ | {"RAY_TMPDIR": temporary}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        peaks: dict[str, tuple[float, float]] = {}
        watcher = threading.Thread(target=watch, args=(driver, peaks), daemon=True)
        watcher.start()
        _, errors = driver.communicate()
        watcher.join()
        if driver.returncode:
            raise RuntimeError(errors.decode())
        return time.perf_counter() - start, peaks


def watch(driver: subprocess.Popen[bytes], peaks: dict[str, tuple[float, float]]) -> None:
    """Sample the driver, and Ray's processes that run our workers, until the driver ends."""
    while driver.poll() is None:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_bytes()
                role = "driver" if int(path.name) == driver.pid else "worker" if b"PartWorker" in command else ""
                if role:
                    private = kilobytes((path / "smaps_rollup").read_text(), "Private_Clean", "Private_Dirty")
                    resident = kilobytes((path / "status").read_text(), "VmHWM")
                    before = peaks.get(role, (0.0, 0.0))
                    peaks[role] = (max(before[0], private / 1024), max(before[1], resident / 1024))
            except OSError:
                continue  # the process has ended
        time.sleep(0.1)


def kilobytes(text: str, *fields: str) -> int:
    return sum(int(number) for field in fields for number in re.findall(rf"^{field}:\s+(\d+) kB", text, re.M))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "ray-engine"))
    parser.add_argument("--judges", default="geometric,shapes_prompt_image")
    parser.add_argument("--local", action="store_true", help="also run the local engine, and compare all rows")
    asked = parser.parse_args()
    print("| engine | rows | seconds | driver, private MiB | driver, resident | worker, private | worker, resident |")
    print("|---|---|---|---|---|---|---|")
    for rows in asked.rows:
        manifest = write_manifest(asked.folder / f"pictures-{rows}", rows)
        engines = {"ray": "ray,workers=2,part=256"} | ({"local": "local"} if asked.local else {})
        for name, engine in engines.items():
            seconds, peaks = score(manifest, asked.folder / f"{name}-{rows}", engine, asked.judges)
            cells = [f"{value:.0f}" for role in ("driver", "worker") for value in peaks.get(role, (0, 0))]
            print(f"| {name} | {rows} | {seconds:.0f} | {' | '.join(cells)} |", flush=True)
        if asked.local:
            same = run_rows(asked.folder / f"ray-{rows}") == run_rows(asked.folder / f"local-{rows}")
            print(f"rows of the two engines equal: {same}", flush=True)


if __name__ == "__main__":
    main()
