"""A run for others: a data set's card and files for the hub, or one small file for a bug report.

Nothing that is written here holds a key: a run's own files were redacted when they were written, and every text of a
bundle is redacted again, without the home folder's name.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.errors import DataError
from gotr1_eval.core.secrets import redact
from gotr1_eval.core.types import Json
from gotr1_eval.files.public_data import known_data
from gotr1_eval.runs.store import FORMAT
from reports.comparison.leaderboard import leaderboard, leaderboard_document
from reports.documents import markdown
from reports.run_data import RunData

TABLES = ("run.json", "samples.jsonl", "judgments.jsonl", "scores.parquet", "scores.csv", "report.html")
"""Files of a run that are shared as they are, where they exist."""
LINES = 200
"""Samples of a bundle, and judgments of each judge: those that went wrong first."""
CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Shared:
    """What of a run is shared: its files by their path in the data set, and the card."""

    files: Mapping[str, Path]
    card: str

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(path.stat().st_size for path in self.files.values()) + len(self.card.encode())


def shared(run: RunData, *, pictures: bool) -> Shared:
    """A run as a data set.

    Args:
        pictures: also those that lie in the run folder; pictures made elsewhere stay where they are.

    Raises:
        DataError: the folder holds no scores yet.
    """
    files = {name: run.folder / name for name in TABLES if (run.folder / name).exists()}
    if "scores.parquet" not in files:
        raise DataError("no table of scores: the run is not finished", path=run.folder)
    if pictures:
        images = run.folder / "images"
        found = sorted(path for path in images.rglob("*") if path.is_file() and not path.name.startswith("."))
        files |= {path.relative_to(run.folder).as_posix(): path for path in found}
    return Shared(files, card(run))


def card(run: RunData) -> str:
    """The data set's card, in Markdown with the hub's head."""
    setup, identity = run.info.setup, run.info.identity
    table = markdown(leaderboard_document([run], leaderboard([run]), str(setup.get("command", ""))))
    versions = setup.get("versions")
    versions = versions if isinstance(versions, Mapping) else {}
    lines = [
        "---",
        "tags: [gotr1-eval, text-to-image, evaluation]",
        f"pretty_name: {json.dumps(redact(run.title))}",
        "configs:",
        "- config_name: scores",
        "  data_files: scores.parquet",
        "---",
        f"# {run.title}",
        "",
        f"{setup.get('generator') or 'Pictures'} on {identity.get('suite') or 'a list of prompts'}: "
        f"{len(run.samples):,} samples, judged by gotr1-eval. `report.html` shows them; `scores.parquet` has a row a "
        "sample, `judgments.jsonl` every outcome with its parts and raw replies.",
        "",
        table,
        "",
        "## How it was made",
        f"`gotr1-eval {setup.get('command', '')}`",
        "",
        *(f"- {column.factor}: `{column.name}`, fingerprint `{column.fingerprint}`" for column in run.judges),
        "- " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        "",
        "## Licences",
        *licence_lines(run),
    ]
    return redact("\n".join(lines)) + "\n"


def licence_lines(run: RunData) -> list[str]:
    """Whose prompts these are, and what is known of everybody's terms."""
    suite = str(run.info.identity.get("suite") or "")
    known = [data for data in known_data() if data.key == suite]
    return [
        *(f"- Prompts: {data.what}, {data.repository} at {data.commit[:12]}, {data.licence}." for data in known),
        "- Pictures and chains: the terms of the generator that made them.",
        "- Replies: the terms of the model that gave them.",
    ]


def write_bundle(run: RunData, target: Path, environment: Mapping[str, Json]) -> list[str]:
    """Write what a bug report needs of a run into one .zip file, and return the names in it.

    Args:
        environment: versions of this machine.
    """
    info = {"format": FORMAT, "identity": dict(run.info.identity), "setup": dict(run.info.setup)}
    files = {
        "run.json": json.dumps(info, indent=2, ensure_ascii=False),
        "environment.json": json.dumps(dict(environment), indent=2),
        "samples.jsonl": "\n".join(_lines(run.folder / "samples.jsonl", [])),
        "judgments.jsonl": "\n".join(_lines(run.folder / "judgments.jsonl", [column.name for column in run.judges])),
    }  # fmt: skip
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, without_home(redact(text)))
    return list(files)


def without_home(text: str) -> str:
    """The text without the name of the user's home folder."""
    return text.replace(str(Path.home()), "~")


def _lines(path: Path, judges: Sequence[str]) -> Iterator[str]:
    """The first lines of a file; of each judge those without a score first."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    if not judges:
        yield from lines[:LINES]
        return
    rows = [(json.loads(line), line) for line in lines]
    for judge in judges:
        mine = [(row, line) for row, line in rows if row["judge"] == judge]
        mine.sort(key=lambda pair: "why" not in pair[0])
        yield from (line for _, line in mine[:LINES])
