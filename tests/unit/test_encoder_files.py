"""What the encoders refuse to load, each in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from gotr1_eval.core.errors import DataError, GotR1Error, MissingWeightsError, UsageError
from gotr1_eval.models import checkpoint
from gotr1_eval.models.checkpoint import resolve_folder
from gotr1_eval.models.encoders import clip, hps
from gotr1_eval.models.encoders._clip_text import load_tokenizer
from gotr1_eval.models.local_model import choose_device
from tests.tiny_clip import (
    Tensors,
    clip_encoder,
    hps_encoder,
    random_clip_folder,
    write_checkpoint,
    write_tokenizer,
)


def one_line_error(kind: type[GotR1Error], ask: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        ask()
    assert "\n" not in str(caught.value)
    return str(caught.value)


OUT_PROJ = "visual.transformer.resblocks.1.attn.out_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("visual.ln_pre.bias"), "1 missing (visual.ln_pre.bias)"),
        (lambda t: t.pop("visual.conv1.weight"), "1 missing (visual.conv1.weight)"),
        (lambda t: t.update(extra=torch.zeros(1)), "1 surplus (extra)"),
        (lambda t: t.update({OUT_PROJ: torch.zeros(3, 3)}), f"1 misshapen ({OUT_PROJ})"),
        (lambda t: t.update({"visual.proj": torch.zeros(3)}), "1 misshapen (visual.proj)"),
        (lambda t: t.clear(), "7 missing (positional_embedding, token_embedding.weight"),
        (lambda t: t.update(x="text"), "expected tensors by name"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path: Path, change: Callable[[Tensors], object], message: str):
    path = write_checkpoint(tmp_path, change)
    assert message in one_line_error(DataError, lambda: hps_encoder(path).embed_texts(["a"]))


def test_what_is_no_checkpoint_is_said_in_one_line(tmp_path: Path):
    assert "HPS_v2.1" in one_line_error(UsageError, lambda: hps_encoder(tmp_path / "none.pt"))
    assert "no such device" in one_line_error(UsageError, lambda: hps_encoder(tmp_path, device="tpu9"))
    assert "no such device" in one_line_error(UsageError, lambda: hps_encoder(tmp_path, device="cuda:99"))
    write_tokenizer(tmp_path)
    for name in ("torn.pt", "torn.safetensors"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
        encoder = hps_encoder(tmp_path / name)
        assert "not a checkpoint" in one_line_error(DataError, lambda encoder=encoder: encoder.loaded)
    path = write_checkpoint(tmp_path)
    assert "image_heads = 5" in one_line_error(UsageError, lambda: hps_encoder(path, image_heads=5).loaded)


def test_what_is_no_tokenizer_is_said_in_one_line(tmp_path: Path):
    path = write_checkpoint(tmp_path)
    (tmp_path / "merges.txt").unlink()
    alone = one_line_error(UsageError, lambda: hps_encoder(path).fingerprint)
    assert "the hub's 'openai/clip-vit-base-patch32' cannot be fetched" in alone, "without one beside the weights"
    (tmp_path / "empty").mkdir()
    empty = hps_encoder(path, tokenizer=str(tmp_path / "empty"))
    assert "no CLIP tokenizer at" in one_line_error(UsageError, lambda: empty.fingerprint)
    missing = hps_encoder(path, tokenizer=str(tmp_path / "no folder"))
    assert "give a folder, or an id" in one_line_error(UsageError, lambda: missing.loaded)
    (tmp_path / "tokenizer.json").write_text("[]")
    assert "not a CLIP tokenizer file" in one_line_error(DataError, lambda: load_tokenizer(tmp_path))
    content = {"model": {"vocab": {"a": 0}, "merges": []}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert "lacks <|startoftext|> and <|endoftext|>" in one_line_error(DataError, lambda: load_tokenizer(tmp_path))
    write_tokenizer(tmp_path / "large", {"word</w>": 600}, markers=(700, 701))
    large = hps_encoder(path, tokenizer=str(tmp_path / "large"))
    assert "ids up to 701, the model embeds 514" in one_line_error(UsageError, lambda: large.loaded)


def test_a_folder_that_is_not_clip_is_said_in_one_line(tmp_path: Path):
    folder = random_clip_folder(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    assert "16 missing (vision_model" in one_line_error(DataError, lambda: clip_encoder(folder).loaded)
    (folder / "config.json").write_text('{"model_type": "blip"}')
    assert "expected model_type 'clip', got 'blip'" in one_line_error(DataError, lambda: clip_encoder(folder).loaded)
    (folder / "config.json").write_text("{")
    assert "not a configuration" in one_line_error(DataError, lambda: clip_encoder(folder).loaded)


def test_a_hub_id_is_fetched_once_and_pickled_weights_only_where_there_are_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, asked = random_clip_folder(tmp_path / "snapshot"), []

    def fetch(model: str, *, revision: str, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((model, revision, allow_patterns[-1]))
        return str(folder)

    monkeypatch.setattr(checkpoint, "snapshot_download", fetch)
    encoder = clip.ClipModelEncoder(clip.Settings(model="owner/clip-tiny", revision="v1", device="cpu"))
    assert encoder.name == "clip-tiny"
    assert encoder.fingerprint
    assert encoder.embed_texts(["a"]).shape == (1, 16)
    assert asked == [("owner/clip-tiny", "v1", "*.safetensors")]
    (folder / "model.safetensors").unlink()
    resolve_folder("owner/clip-tiny", "main")
    assert asked[-1] == ("owner/clip-tiny", "main", "pytorch_model*.bin*")


def test_a_hub_that_cannot_be_reached_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("no\nnetwork")

    monkeypatch.setattr(checkpoint, "snapshot_download", fail)
    encoder = clip.ClipModelEncoder(clip.Settings(model="owner/name", device="cpu"))
    message = one_line_error(UsageError, lambda: encoder.fingerprint)
    assert message == "no folder owner/name, and the hub's 'owner/name' cannot be fetched: no network"


def test_the_official_file_is_looked_for_where_it_is_downloaded_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOTR1_EVAL_WEIGHTS", str(tmp_path))
    missing = one_line_error(MissingWeightsError, lambda: hps.HpsEncoder(hps.Settings()).fingerprint)
    assert f"no HPS_v2.1_compressed.pt in {tmp_path}" in missing
    assert "gotr1-eval weights hps --download" in missing
    write_checkpoint(tmp_path).rename(tmp_path / "HPS_v2.1_compressed.pt")
    found = hps.HpsEncoder(hps.Settings(image_heads=4, text_heads=2))
    given = hps_encoder(tmp_path / "HPS_v2.1_compressed.pt")
    assert found.fingerprint == given.fingerprint


@pytest.mark.parametrize(("rank", "expected"), [(None, "cuda"), ("0", "cuda:0"), ("3", "cuda:3"), ("5", "cuda:1")])
def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch, rank: str, expected: str):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert str(choose_device("auto")) == expected
    assert str(choose_device("cpu")) == "cpu"
