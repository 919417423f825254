"""The script for a GPU, as far as a processor can run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gotr1_eval.models.autoregressive import stages
from tests.perf import gpu_check
from tests.perf.gpu_check import PARTS, Machine, check, qwen_7b

pytestmark = pytest.mark.slow
CPU = Machine(torch.device("cpu"), ("mini",))


def test_parts_run_and_write_what_they_find(tmp_path: Path):
    names = ["memory", "decode", "eager", "judge", "grpo"]
    whole = check(CPU, names, tmp_path / "found")
    assert whole == json.loads((tmp_path / "found.json").read_text())
    assert list(whole["parts"]) == names
    assert not any("failed" in found for found in whole["parts"].values()), whole
    held = [value for name, value in whole["parts"]["memory"].items() if "after tile" in name]
    assert len(held) == 3
    assert whole["parts"]["decode"]["mini, 32 pictures: step, ms"] > 0
    assert whole["parts"]["grpo"]["mini: tile that would fit"] == 64
    assert "| grpo | mini: samples a second |" in (tmp_path / "found.md").read_text()


@pytest.mark.parametrize("planted", [False, True])
def test_graphs_that_replay_something_else_are_seen(planted: bool, monkeypatch: pytest.MonkeyPatch):
    if planted:
        replayed = stages.Replayed.__call__

        def stale(self, step, span):
            """A graph that does not see what was chosen."""
            self._state[1].zero_()
            replayed(self, step, span)

        monkeypatch.setattr(stages.Replayed, "__call__", stale)
    found = PARTS["graphs"](CPU)
    equal = [value for name, value in found.items() if "equal chains" in name]
    apart = [value for name, value in found.items() if "largest difference" in name]
    assert (equal == [8], apart == [0.0, 0.0]) == (not planted, not planted)


def test_a_part_that_fails_stops_no_other_and_a_late_one_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(machine: Machine) -> dict[str, float | str]:
        raise RuntimeError("no kernel image")

    monkeypatch.setitem(PARTS, "drift", broken)
    monkeypatch.setitem(PARTS, "memory", lambda machine: {"fine": 1.0})
    whole = check(CPU, ["drift", "memory"], tmp_path / "found")
    assert whole["parts"]["drift"]["failed"] == "RuntimeError: no kernel image"
    assert whole["parts"]["memory"]["fine"] == 1.0
    late = check(CPU, ["memory"], tmp_path / "late", limit=0.0)
    assert late["parts"]["memory"]["left out"] == "the time was up"
    monkeypatch.setattr("sys.argv", ["gpu_check", "--only", "graphs,nothing"])
    with pytest.raises(SystemExit):
        gpu_check.main()


def test_the_judges_size_is_a_7b():
    class Tiny:
        image_token_id, video_token_id, vision_start_token_id = range(3)

    model = qwen_7b(Tiny(), torch.device("meta"), torch.bfloat16)
    assert 8.2e9 < sum(each.numel() for each in model.parameters()) < 8.4e9
