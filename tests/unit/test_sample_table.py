"""Chains and pictures in trackers: TensorBoard is read back, of others the calls that accelerate makes are seen."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.tracking import AimTracker, MLflowTracker, WandBTracker
from PIL import Image

from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.types import Sample
from gotr1_eval.files.jsonl import read_rows
from tests.grpo_runs import trainer
from training.rollout import JudgedRollout, Rollout
from training.sample_table import log_table, sample_table


@pytest.fixture
def collected():
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)) for _ in range(3)]
    samples = [
        Sample(id=str(at), prompt="a | b", chain=f"chain {at}\nwith <b>", image=picture)
        for at, picture in enumerate(pictures)
    ]
    rows: list[Any] = [{"total": Score(value=0.25)}, {"total": Unscored(why=Why.UNREADABLE, detail="words")}]
    rollout = Rollout(samples, actions=torch.zeros(()), truncated=[False] * 3, tokens=[1] * 3)  # type: ignore[arg-type]
    return JudgedRollout(rollout, [*rows, rows[0]], [{"layout": Score(value=1.0)}] * 3)


def test_a_table_has_a_row_a_sample_and_tells_what_has_no_score(collected):
    table = sample_table(collected, 2)
    assert table.columns == ("prompt", "chain", "total", "watched/layout", "unscored")
    assert table.rows == (
        ("a | b", "chain 0\nwith <b>", 0.25, 1.0, ""),
        ("a | b", "chain 1\nwith <b>", None, 1.0, "total: unreadable: words"),
    )
    assert [picture.size for picture in table.pictures] == [(8, 8)] * 2


@pytest.mark.slow
def test_tensorboard_shows_chains_and_pictures(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    one = trainer(tmp_path / "run", steps=4, trackers=["tensorboard"], sample_table={"every": 3, "rows": 2})
    shown = one.collector.sample(0).rollout.samples
    one.train()
    events = EventAccumulator(str(next((tmp_path / "run").rglob("events.*")).parent), size_guidance={"tensors": 0})
    events.Reload()
    told = events.Tensors("samples/text_summary")
    assert [each.step for each in told] == [1, 3]
    text = told[0].tensor_proto.string_val[0].decode()
    assert text.startswith("| prompt | chain | checksum | unscored |\n| --- | --- | --- | --- |\n| a ")
    assert len(text.splitlines()) == 4
    assert [each.step for each in events.Images("samples/pictures")] == [1, 3]
    picture = Image.open(io.BytesIO(events.Images("samples/pictures")[0].encoded_image_string))
    assert picture.size[0] % shown[0].image.width == 0


def made(kind: type, **given: Any) -> Any:
    """A tracker of accelerate's without its start, which would look for an account."""
    tracker = kind.__new__(kind)
    for name, value in given.items():
        setattr(tracker, name, value)
    return tracker


def test_wandb_gets_one_table(collected, monkeypatch):
    logged: list[tuple[Any, Any]] = []
    fake = SimpleNamespace(Image=lambda picture: ("picture", picture.size), Table=lambda **given: given)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    run = SimpleNamespace(log=lambda values, step, **_: logged.append((step, values)))
    log_table([made(WandBTracker, run=run)], sample_table(collected, 2), 25)
    [(step, values)] = logged
    assert (step, values["samples"]["columns"][-2:]) == (25, ["unscored", "picture"])
    assert values["samples"]["data"][1][2:] == [None, 1.0, "total: unreadable: words", ("picture", (8, 8))]


def test_aim_gets_captions_and_mlflow_files(collected, monkeypatch):
    tracked, files = [], {}

    def keep(local_dir, artifact_path):
        folder = Path(local_dir)
        names = sorted(path.name for path in folder.iterdir())
        files[artifact_path] = (names, [row for _, row in read_rows(folder / "samples.jsonl")])

    monkeypatch.setitem(sys.modules, "aim", SimpleNamespace(Image=lambda image, caption: (image.size, caption)))
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(log_artifacts=keep))
    writer = SimpleNamespace(track=lambda image, name, step: tracked.append((name, step, image)))
    log_table([made(AimTracker, writer=writer), made(MLflowTracker)], sample_table(collected, 2), 50)
    assert [(name, step) for name, step, _ in tracked] == [("samples/0", 50), ("samples/1", 50)]
    assert "unscored: total: unreadable: words" in tracked[1][2][1]
    [(names, rows)] = files.values()
    assert [*files] == ["samples/step-000050"]
    assert names == ["0.png", "1.png", "samples.jsonl"]
    assert [row["total"] for row in rows] == [0.25, None]
