"""The report on official files, with random weights of the official sizes that recipes draw anew: shared data only."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.doctor.drawings import World, everyday
from benchmarks.doctor.official import CASES, Report, examine_official
from gotr1_eval.build import Builder
from gotr1_eval.files.official_files import official_file
from gotr1_eval.models.detectors import mask2former
from tests.conftest import shared_files, shared_parameters
from tests.tiny_mask2former import as_in_3x

pytestmark = pytest.mark.slow

WHOLE = [("tensors", True), ("sees drawings", False), ("answers are sound", True), ("same twice", True),
         ("batch equals single", True)]  # fmt: skip


def one_scene() -> World:
    return replace(everyday(), drawings=everyday().drawings[:1])


def report_on(key: str, folder: Path) -> Report:
    return examine_official(Builder(), next(case for case in CASES if case.key == key), folder, one_scene())


def verdicts(report: Report) -> list[tuple[str, bool]]:
    return [(check.name, check.passed) for check in report.examination.checks]


@pytest.mark.parametrize("path", shared_parameters("data/detectors/mask2former/manifest_mmdet3.json"))
def test_random_mask2former_is_read_whole_and_sees_nothing(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As mmdet 3.x names its tensors, seeing small pictures, under the name without a hash, which promises nothing."""
    monkeypatch.setattr(mask2former, "BOUNDS", (320, 192))
    golden = shared_files("data/detectors/mask2former/golden*/recipe.py")[0]
    drawn = runpy.run_path(str(golden))["state_dict"](json.loads((golden.parent / "manifest.json").read_text()))
    tensors = {as_in_3x(name): torch.from_numpy(array) for name, array in drawn.items()}
    assert tensors.keys() <= json.loads(path.read_text()).keys()
    torch.save({"meta": {}, "state_dict": tensors}, tmp_path / official_file("mask2former").names[1])
    report = report_on("mask2former", tmp_path)
    assert verdicts(report) == [("file", False), *WHOLE]
    assert report.examination.model.startswith("mask2former-openmmlab,sha256 ")
    assert report.tensors is not None
    assert (report.tensors.in_file, report.tensors.weights) == (625, 625)
    assert report.found
