"""A run is shared with its card, and bundled without keys, pictures or home folder; the hub is a scripted server."""

from __future__ import annotations

import base64
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from gotr1_eval.cli.app import run as start
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.core.secrets import register
from reports.run_data import load_run
from reports.run_summary import summarise_run
from reports.score_export import write_scores
from reports.sharing import card, shared, write_bundle
from tests.report_runs import varied_run

KEY = "sk-verysecretkeyofthisuser"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = varied_run(tmp_path / "a run", prompts=4)
    write_scores(load_run(folder))
    (folder / "images").mkdir()
    (folder / "images" / "0.png").write_bytes(b"picture")
    return folder


class Hub(BaseHTTPRequestHandler):
    """What the client asks of the hub when it makes a data set and commits to it."""

    commits: list[list[dict[str, Any]]]
    refuses = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.refuses:
            self._answer(403, {"error": "you may not write here"})
        elif self.path == "/api/repos/create":
            self._answer(200, {"url": "https://huggingface.co/datasets/owner/name", "name": "owner/name"})
        elif self.path.endswith("/preupload/main"):
            how = {"uploadMode": "regular", "shouldIgnore": False}
            self._answer(200, {"files": [{"path": file["path"], **how} for file in json.loads(body)["files"]]})
        elif self.path.endswith("/validate-yaml"):
            self._answer(200, {"errors": [], "warnings": []})
        else:
            self.commits.append([json.loads(line) for line in body.splitlines()])
            self._answer(
                200,
                {
                    "success": True,
                    "commitOid": "0" * 40,
                    "commitUrl": "https://huggingface.co/datasets/owner/name/commit/0",
                },
            )

    def do_GET(self) -> None:
        self._answer(200, {"sha": "0" * 40, "id": "owner/name", "siblings": [], "type": "user", "name": "owner"})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    class Scripted(Hub):
        commits: list[list[dict[str, Any]]] = []  # noqa: RUF012

    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(endpoint=address, token="hf_scripted"))
    yield Scripted
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_card_says_what_made_the_numbers(folder: Path):
    run = load_run(folder)
    text = card(run)
    mean = summarise_run(run).rows["all"]["judge[total]"]
    assert f"{mean.mean:.3f}" in text
    assert f"n={mean.scored}" in text
    assert all(f"`{column.name}`, fingerprint `{column.fingerprint}`" in text for column in run.judges)
    assert "## Licences" in text
    head, body = text.removeprefix("---\n").split("\n---\n", 1)
    assert "data_files: scores.parquet" in head
    assert body.startswith("# a run\n")


def test_what_is_shared(folder: Path):
    run = load_run(folder)
    with_pictures, without = shared(run, pictures=True), shared(run, pictures=False)
    assert with_pictures.files.keys() - without.files.keys() == {"images/0.png"}
    assert {"run.json", "samples.jsonl", "judgments.jsonl", "scores.parquet"} <= without.files.keys()
    assert with_pictures.size == without.size + len(b"picture")


def test_push_commits_everything_at_once(folder: Path, hub: type[Hub], capsys: pytest.CaptureFixture[str]):
    assert start(["push", str(folder), "--repo", "owner/name", "--dry-run"]) == 0
    listed = capsys.readouterr().out.split()
    assert hub.commits == []
    assert start(["push", str(folder), "--repo", "owner/name"]) == 0
    (commit,) = hub.commits
    head, *files = commit
    assert head["key"] == "header"
    assert sorted(file["value"]["path"] for file in files) == sorted(listed)
    sent = {file["value"]["path"]: base64.b64decode(file["value"]["content"]) for file in files}
    assert sent["samples.jsonl"] == (folder / "samples.jsonl").read_bytes()
    assert sent["README.md"].decode() == card(load_run(folder))
    hub.refuses = True
    with pytest.raises(BackendError, match="the hub refuses owner/name"):
        start(["push", str(folder), "--repo", "owner/name"])
    with pytest.raises(UsageError, match="expected owner/name"):
        start(["push", str(folder), "--repo", "name"])


def test_a_bundle_has_no_keys_and_no_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """What went wrong comes first."""
    register(KEY)
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: folder.parent))
    path = folder / "run.json"
    path.write_text(path.read_text().replace("compbench --suite", f"compbench --key {KEY} --data {folder} --suite"))
    target = folder.parent / "bundle.zip"
    monkeypatch.setattr("reports.sharing.LINES", 2)
    names = write_bundle(load_run(folder), target, {"versions": {"python": "3"}})
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == names == ["run.json", "environment.json", "samples.jsonl", "judgments.jsonl"]
        texts = {name: archive.read(name).decode() for name in names}
    assert not any(KEY in text or str(folder.parent) in text for text in texts.values())
    assert "--data ~/a run --suite" in texts["run.json"]
    rows = [json.loads(line) for line in texts["judgments.jsonl"].splitlines()]
    mine = [row for row in rows if row["judge"] == "judge[semantic]"]
    assert len(mine) == 2
    assert "why" in mine[0]
