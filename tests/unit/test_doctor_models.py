"""The examination of random models of the true classes: none sees, all answer soundly; and of the official files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.doctor import detectors, examine_model
from benchmarks.doctor.checks import Check
from benchmarks.doctor.detectors import WorldAnswers
from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import RunError
from gotr1_eval.files import official_files
from gotr1_eval.models.detectors import _grounding_dino_inputs as dino_pictures
from gotr1_eval.models.detectors import _mask2former_openmmlab as openmmlab
from gotr1_eval.models.detectors import mask2former
from gotr1_eval.models.detectors.unidet.architecture import ARCHITECTURES
from tests import tiny_blip, tiny_clip, tiny_dpt, tiny_grounding_dino, tiny_mask2former, tiny_unidet
from tests.tiny_vlms import save_tiny_qwen

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 pixels instead of 800, so that a test takes a moment."""
    monkeypatch.setattr(mask2former, "BOUNDS", (160, 128))
    monkeypatch.setattr(dino_pictures, "_SHORTER", 128)
    monkeypatch.setattr(dino_pictures, "_LONGER", 213)
    for size in ("r50", "rs200"):
        monkeypatch.setitem(ARCHITECTURES, size, replace(tiny_unidet.TINY, name=size, order=ARCHITECTURES[size].order))


def random_mask2former(folder: Path) -> dict[str, Any]:
    tiny_mask2former.write_folder(folder)
    return {"use": "mask2former", "model": str(folder), "threshold": 0.0}


def random_dino(folder: Path) -> dict[str, Any]:
    tiny_grounding_dino.write_folder(folder)
    return {"use": "grounding_dino", "model": str(folder), "box_threshold": 0.0, "text_threshold": 0.0}


def random_unidet(folder: Path) -> dict[str, Any]:
    tiny_unidet.write_files(folder)
    files = {"weights": str(folder / "weights.pth"), "labels": str(folder / "labels.json")}
    return {"use": "unidet", "size": "r50", **files}


def random_qwen(folder: Path) -> dict[str, Any]:
    return {"use": "qwen", "model": str(save_tiny_qwen(folder, "qwen3_vl"))}


def random_clip(folder: Path) -> dict[str, Any]:
    tiny_clip.random_clip_folder(folder)
    return {"use": "clip", "model": str(folder)}


def random_blip(folder: Path) -> dict[str, Any]:
    weights = tiny_blip.write_original(folder)
    heads = {"image_heads": tiny_blip.HEADS, "text_heads": tiny_blip.HEADS}
    return {"use": "blip", "model": str(weights), "image_size": tiny_blip.SIDE, **heads}


def random_dpt(folder: Path) -> dict[str, Any]:
    tiny_dpt.write_folder(folder)
    return {"use": "dpt", "model": str(folder), "image_size": tiny_dpt.SIDE}


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        ("detector", random_mask2former), ("detector", random_dino), ("detector", random_unidet),
        ("encoder", random_clip), ("yes_no", random_blip), ("vlm", random_qwen), ("depth", random_dpt),
    ],
)  # fmt: skip
def test_random_weights_answer_soundly_and_see_nothing(
    kind: str, write: Callable[[Path], dict[str, Any]], tmp_path: Path
):
    examination = examine_model(Builder(), kind, {**write(tmp_path), "device": "cpu"})
    assert [(check.name, check.passed) for check in examination.checks] == [
        ("sees drawings", False), ("answers are sound", True), ("same twice", True), ("batch equals single", True),
    ]  # fmt: skip


def sha_named(path: Path, stem: str) -> tuple[Path, str]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(path.parent / f"{stem}-{digest}.pth"), digest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny random models in the official files' form and under their names, the two Mask2Formers under their hashes."""
    monkeypatch.setattr(openmmlab, "swin_small", tiny_mask2former.tiny_config)
    tiny_unidet.write_files(tmp_path)
    for size in ("R50", "RS200"):
        weights = torch.load(tmp_path / "weights.pth")
        weights["model"]["pixel_mean"] = torch.zeros(3, 1, 1)
        torch.save(weights, tmp_path / f"Unified_learned_OCIM_{size}_6x+2x.pth")
    torch.save({"labels": tiny_unidet.LABELS}, tmp_path / "detection_features.pt")
    tensors = tiny_mask2former.mmdet_tensors(tiny_mask2former.tiny_model())
    known = {file.key: file for file in official_files.known_files()}
    for key, rename in (("mask2former", str), ("mask2former-3x", tiny_mask2former.as_in_3x)):
        path = tmp_path / "new.pth"
        torch.save({"meta": {}, "state_dict": {rename(name): tensor for name, tensor in tensors.items()}}, path)
        path, digest = sha_named(path, key)
        known[key] = replace(known[key], names=(path.name,), hash_start=digest)
    monkeypatch.setattr(official_files, "known_files", lambda: tuple(known.values()))
    return tmp_path


def official(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The report as JSON, whether or not everything passed."""
    with contextlib.suppress(RunError):
        run(["doctor", "--official", *arguments, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_report_on_official_files(folder: Path, capsys: pytest.CaptureFixture[str]):
    report = official(capsys, "--weights", str(folder))
    assert not report["passed"]
    assert {"torch", "python"} <= report["versions"].keys()
    assert report["missing"] == []
    rows = [(file["key"], file["semantics"], file["model"].partition(",")[0]) for file in report["files"]]
    assert rows == [
        ("unidet-r50", "reference", "unidet-r50"), ("unidet-rs200", "reference", "unidet-rs200"),
        ("unidet-rs200", "corrected", "unidet-rs200-corrected"), ("mask2former", "reference", "mask2former-openmmlab"),
        ("mask2former-3x", "reference", "mask2former-openmmlab"),
    ]  # fmt: skip
    for file in report["files"]:
        path = folder / file["file"]
        assert (file["bytes"], file["sha256"]) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        assert [(check["name"], check["passed"]) for check in file["checks"]] == [
            ("file", True), ("tensors", True), ("sees drawings", False), ("answers are sound", True),
            ("same twice", True), ("batch equals single", True),
        ]  # fmt: skip
        constants = 1 if file["key"].startswith("unidet") else 4
        assert file["tensors"]["in_file"] == file["tensors"]["weights"] + constants
        assert file["detections"]
        assert all(0 <= value <= 640 for one in file["detections"] for value in one["box"])
        assert file["load_seconds"] > 0 < file["seconds_a_picture"]
    seen = {(file["key"], file["semantics"]): file["detections"] for file in report["files"]}
    assert seen["mask2former", "reference"] == seen["mask2former-3x", "reference"]
    assert seen["unidet-rs200", "reference"] != seen["unidet-rs200", "corrected"]


def test_what_is_missing_damaged_or_another_file_is_told(folder: Path, capsys: pytest.CaptureFixture[str]):
    usual = next(folder.glob("mask2former-????????.pth"))
    usual.unlink()
    report = official(capsys, "--weights", str(folder), "--for", "geneval")
    assert [file["key"] for file in report["files"]] == ["mask2former-3x"]
    assert report["missing"] == []
    newer = next(folder.glob("mask2former-3x-*.pth"))
    newer.write_bytes(newer.read_bytes() + b"more")
    (broken,) = official(capsys, "--weights", str(folder), "--for", "geneval")["files"]
    assert [(check["name"], check["passed"]) for check in broken["checks"]] == [("runs", False)]
    assert "its name promises a sha256" in broken["checks"][0]["detail"]
    newer.unlink()
    (folder / "detection_features.pt").unlink()
    weights = torch.load(folder / "Unified_learned_OCIM_R50_6x+2x.pth")
    weights["model"]["surplus"] = torch.zeros(1)
    torch.save(weights, folder / "Unified_learned_OCIM_R50_6x+2x.pth")
    report = official(capsys, "--weights", str(folder), "--for", "geneval", "--for", "numeracy")
    assert [lack["key"] for lack in report["missing"]] == ["mask2former", "unidet-labels"]
    assert "no detection_features.pt in" in report["files"][0]["checks"][0]["detail"]
    torch.save({"labels": tiny_unidet.LABELS}, folder / "detection_features.pt")
    (file,) = official(capsys, "--weights", str(folder), "--for", "numeracy")["files"]
    assert "1 surplus (surplus)" in file["checks"][-1]["detail"]


def test_the_table_and_its_verdict(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    arguments = ["doctor", "--official", "--weights", str(folder), "--for", "numeracy"]
    with pytest.raises(RunError, match=r"not fit for a run: unidet-r50$"):
        run(arguments)
    text = capsys.readouterr().out
    assert "unidet-r50, reference  FAILED" in text
    assert hashlib.sha256((folder / "Unified_learned_OCIM_R50_6x+2x.pth").read_bytes()).hexdigest() in text
    assert "more; --json has them all" in text
    monkeypatch.setattr(WorldAnswers, "share", property(lambda world_answers: 0.9))
    # Random weights see spoilt drawings no worse, and these few labels lack some of the drawn things.
    monkeypatch.setattr(detectors, "clear_beats_spoilt", lambda *_: Check("clear beats spoilt", passed=True, detail=""))
    assert run(arguments) == 0
    assert "unidet-r50, reference  ok" in capsys.readouterr().out
