"""Small manifests of pictures, and the rows of runs in a form that two runs can be compared in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from gotr1_eval.files.jsonl import append_rows, read_rows

CHAIN = "A red circle (0,400),(200,600) and a blue square (800,400),(1000,600)"


def picture_manifest(folder: Path, count: int) -> Path:
    """So many small pictures: prompts repeat, one picture is missing, one file is no picture."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        colour = ("red", "green", "blue")[index % 3]
        if index != 3:
            Image.new("RGB", (16, 16), colour).save(folder / f"{index}.png")
        prompt = f"a {colour} circle on the left of a blue square"
        rows.append({"prompt": prompt, "image": f"{index}.png", "chain": CHAIN, "category": colour, "row": index})
    if count > 4:
        (folder / "4.png").write_bytes(b"no picture")
    append_rows(folder / "list.jsonl", rows)
    return folder / "list.jsonl"


def run_rows(folder: Path) -> tuple[list[Any], list[Any]]:
    """The lines of a run's samples and judgments, none of them twice, without the seconds that judging took."""
    samples = [row for _, row in read_rows(folder / "samples.jsonl")]
    there = (folder / "judgments.jsonl").exists()
    judged = [{**row, "seconds": 0} for _, row in read_rows(folder / "judgments.jsonl")] if there else []
    keys = [(row["sample"], row["judge"], row["fingerprint"], row["repeat"]) for row in judged]
    assert len({row["id"] for row in samples}) == len(samples)
    assert len(set(keys)) == len(keys)
    return samples, [row for _, row in sorted(zip(keys, judged, strict=True), key=lambda pair: pair[0])]
