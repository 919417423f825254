"""Official files: the table, finding them, and downloads from a server on the loopback device that breaks off."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import BackendError, UsageError
from gotr1_eval.files import official_files
from gotr1_eval.files.downloading import download
from gotr1_eval.files.official_files import (
    file_fault,
    find_file,
    find_interchangeable,
    interchangeable,
    known_files,
    known_uses,
    official_file,
    weights_folder,
)

CONTENT = b"PK" + bytes(range(256)) * 12_000


class Server(ThreadingHTTPServer):
    """Answers with CONTENT; knows ranges unless told otherwise, and may stop after so many bytes, once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stop_after: int | None = None
        self.ranges = True
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        server, asked = self.server, self.headers["Range"]
        server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if "missing" in self.path:
            self.send_error(404)
        elif start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
        else:
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            stop, server.stop_after = server.stop_after, None
            self.wfile.write(CONTENT[start:stop])


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join(5)


def nothing_wrong(path: Path) -> str:
    return ""


def test_a_file_arrives_whole_and_under_its_name(server: Server, tmp_path: Path):
    told: list[tuple[int, int | None]] = []
    download(server.url, tmp_path / "new" / "file.pth", nothing_wrong, lambda done, total: told.append((done, total)))
    assert (tmp_path / "new" / "file.pth").read_bytes() == CONTENT
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "file.pth"]
    assert told[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("ranges", [True, False], ids=["goes on", "starts again"])
def test_what_broke_off_is_gone_on_with(server: Server, tmp_path: Path, ranges: bool):
    path, partial = tmp_path / "file.pth", tmp_path / "file.pth.partial"
    server.stop_after, server.ranges = 1_500_000, ranges
    with pytest.raises(BackendError, match="start again to go on where it stopped"):
        download(server.url, path, nothing_wrong)
    assert partial.stat().st_size == 1_500_000
    assert not path.exists()
    download(server.url, path, nothing_wrong)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1500000-"]


def test_a_partial_file_that_is_whole_or_too_long(server: Server, tmp_path: Path):
    path, partial = tmp_path / "file.pth", tmp_path / "file.pth.partial"
    partial.write_bytes(CONTENT)
    download(server.url, path, nothing_wrong)
    assert path.read_bytes() == CONTENT
    partial.write_bytes(CONTENT + b"more")
    with pytest.raises(BackendError):
        download(server.url, path, nothing_wrong)
    assert not partial.exists()


def test_another_file_is_not_kept(server: Server, tmp_path: Path):
    with pytest.raises(BackendError, match="not the file that was expected: too short"):
        download(server.url, tmp_path / "file.pth", lambda path: "too short")
    assert list(tmp_path.iterdir()) == []


def test_no_file_no_server_no_folder(server: Server, tmp_path: Path):
    with pytest.raises(BackendError, match="404"):
        download(server.url.replace("file", "missing"), tmp_path / "file.pth", nothing_wrong)
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:1/"):
        download("http://127.0.0.1:1/file", tmp_path / "file.pth", nothing_wrong)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        download(server.url, tmp_path / "file" / "file.pth", nothing_wrong)


def test_the_table_is_sound():
    assert len({file.key for file in known_files()}) == len(known_files())
    for file in known_files():
        assert file.made_for
        assert [bool(file.url), bool(file.by_hand), file.on_hub].count(True) == 1
        assert file.url is None or file.url.startswith("https://")
        assert file.hash_start is None or len(file.hash_start) == 64 or file.hash_start in file.name
    assert {"spatial", "3d_spatial", "numeracy", "geneval", "color", "non_spatial"} <= set(known_uses())


def test_files_are_found_under_any_name_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = official_file("mask2former")
    assert find_file(file, tmp_path) is None
    (tmp_path / file.names[1]).write_bytes(CONTENT)
    found = find_file(file, tmp_path)
    assert found == tmp_path / file.names[1]
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert file_fault(file, found) == f"sha256 begins with {digest[:8]}, not 743b7d99"
    assert file_fault(replace(file, hash_start=digest[:8]), found) == ""
    assert file_fault(replace(file, hash_start=None), found) == ""
    found.write_bytes(b"<html>not found</html>")
    assert file_fault(replace(file, hash_start=None), found) == "no checkpoint: it begins with b'<h'"
    monkeypatch.setenv("GOTR1_EVAL_WEIGHTS", str(tmp_path))
    assert weights_folder() == tmp_path
    monkeypatch.delenv("GOTR1_EVAL_WEIGHTS")
    monkeypatch.setenv("GOTR1_CACHE", "/caches")
    assert weights_folder() == Path("/caches/weights")
    monkeypatch.delenv("GOTR1_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert weights_folder() == Path("/elsewhere/gotr1-eval/weights")


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    run(["weights", *arguments, "--json"])
    return {row["key"]: row for row in json.loads(capsys.readouterr().out)["files"]}


def test_the_command_lists_finds_and_fetches(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    near = tuple(replace(file, url=server.url) if file.key == "unidet-rs200" else file for file in known_files())
    monkeypatch.setattr(official_files, "known_files", lambda: near)
    folder = ("--weights", str(tmp_path))
    assert listed(capsys, *folder).keys() == {file.key for file in known_files()}
    assert listed(capsys, "numeracy", *folder).keys() == {"unidet-r50", "unidet-labels"}
    (row,) = listed(capsys, "unidet-rs200", "--download", *folder).values()
    assert (row["bytes"], row["fault"]) == (len(CONTENT), None)
    assert server.asked == [None]
    listed(capsys, "unidet-rs200", "--download", *folder)
    assert server.asked == [None]
    run(["weights", "spatial", *folder])
    text = capsys.readouterr().out
    assert "found  " in text
    assert f"MISSING  gotr1-eval weights unidet-labels --download --weights '{tmp_path}'" in text
    run(["weights", "unidet-r50", "--download", *folder])
    by_hand = capsys.readouterr().out
    assert "MISSING  pip install gdown && gdown" in by_hand
    assert f"-O '{tmp_path}/'" in by_hand


def test_the_file_re_hosted_for_mmdet_3_does_as_well(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    digest = hashlib.sha256(CONTENT).hexdigest()[:8]
    near = tuple(
        replace(file, url=server.url, hash_start=digest) if file.key.startswith("mask2former") else file
        for file in known_files()
    )
    monkeypatch.setattr(official_files, "known_files", lambda: near)
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        "gotr1_eval.models.checkpoint.resolve_folder",
        lambda model, revision, weights: asked.append((model, weights)),
    )
    usual, newer = official_file("mask2former"), official_file("mask2former-3x")
    assert (interchangeable(usual), interchangeable(newer)) == ((newer,), (usual,))
    assert "c9d0c4f2.pth" in newer.name
    folder = ("--weights", str(tmp_path))
    rows = listed(capsys, "geneval", "--download", *folder)
    assert {key: row["found"] is not None for key, row in rows.items()} == {
        "clip-l14": rows["clip-l14"]["found"] is not None, "mask2former": True, "mask2former-3x": False,
    }  # fmt: skip
    assert set(asked) <= {("openai/clip-vit-large-patch14", True)}
    (tmp_path / usual.name).unlink()
    listed(capsys, "mask2former-3x", "--download", *folder)
    assert find_interchangeable(usual, tmp_path) == tmp_path / newer.name
    listed(capsys, "geneval", "--download", *folder)
    assert not (tmp_path / usual.name).exists()
    run(["weights", "mask2former", *folder])
    assert "not needed: mask2former-3x is here" in capsys.readouterr().out
    (tmp_path / newer.name).write_bytes(CONTENT + b"more")
    run(["weights", "mask2former-3x", *folder])
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["spatal"], "did you mean 'spatial'"), (["--download"], "needs to know what")],
)
def test_bad_options_are_one_line(arguments: list[str], message: str):
    with pytest.raises(UsageError, match=message) as caught:
        run(["weights", *arguments])
    assert "\n" not in str(caught.value)
