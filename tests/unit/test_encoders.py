"""The encoders on tiny random models: the protocol, the checkpoint's names, batches, and the judges on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPModel

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BackendError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.protocols import Encoder
from gotr1_eval.core.types import Sample
from gotr1_eval.models.encoders import hps
from gotr1_eval.models.encoders._clip_text import clean_text, load_tokenizer, token_ids
from gotr1_eval.models.encoders._open_clip import Sizes, Tower, model_config, to_transformers
from gotr1_eval.models.local_model import in_batches
from rewards import aesthetic, clip_score
from rewards.cosine import CosineJudge
from tests.tiny_clip import (
    clip_encoder,
    hps_encoder,
    random_clip_folder,
    random_open_clip,
    write_checkpoint,
    write_tokenizer,
)

TEXTS = [
    "a red circle",
    "",
    "a blue square on the left of a very long sentence " * 9,
    "naïve 🦊 \ud800",
    "a red circle",
]


def pictures() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    return [
        Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for height, width in ((40, 40), (32, 32), (9, 50), (64, 31), (1, 1))
    ]


@pytest.fixture(params=["hps file", "hps folder", "clip"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Encoder]:
    """Makes an encoder of each kind with the settings that are given."""
    if request.param == "hps file":
        path = write_checkpoint(tmp_path)
        return lambda **settings: hps_encoder(path, **settings)
    folder = random_clip_folder(tmp_path / "tiny-clip")
    kind = clip_encoder if request.param == "clip" else hps_encoder
    return lambda **settings: kind(folder, **settings)


def test_encoders_that_need_no_name():
    """`--judges aesthetic` and `--judges clip_score` take the usual ones."""
    assert aesthetic.Settings().encoder == {"use": "hps"}
    assert clip_score.Settings().encoder == {"use": "clip"}
    assert aesthetic.Settings(encoder="clip").encoder == {"use": "clip"}
    assert Builder().judge({"use": "clip_score"}).name == "clip_score[clip-vit-large-patch14]"


def test_rows_are_units_in_order_and_batches_change_nothing(make: Callable[..., Encoder]):
    whole, single = make(), make(batch_size=1)
    for embed, inputs in ((whole.embed_images, pictures()), (whole.embed_texts, TEXTS)):
        rows = embed(inputs)  # type: ignore[operator]
        assert rows.dtype == np.float32
        assert rows.shape == (5, 16)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
        alone = getattr(single, embed.__name__)
        np.testing.assert_allclose(alone(inputs), rows, atol=1e-6)
        np.testing.assert_allclose(embed(inputs[::-1])[::-1], rows, atol=1e-6)  # type: ignore[operator]
        assert embed([]).shape == (0, 16)
        assert len(np.unique(rows.round(4), axis=0)) == (4 if inputs is TEXTS else 5)


def test_fingerprints_tell_files_and_precision_but_not_batches(make: Callable[..., Encoder]):
    encoder = make()
    before = encoder.fingerprint
    encoder.embed_texts(TEXTS)
    assert make().fingerprint == before == make(batch_size=2).fingerprint
    assert make(dtype="bfloat16").fingerprint != before


def test_embeddings_are_those_of_a_model_with_the_checkpoint_s_names(tmp_path: Path):
    """The same tensors in plain torch modules that are laid out as open_clip's."""
    encoder, plain = hps_encoder(write_checkpoint(tmp_path)), random_open_clip()
    pixels = torch.stack([hps.fit_and_pad(picture, 32) for picture in pictures()])
    ids = token_ids(load_tokenizer(tmp_path), TEXTS, 77)
    with torch.inference_mode():
        expected = (plain.visual(pixels), plain.encode_text(ids))
    for found, rows in zip((encoder.embed_images(pictures()), encoder.embed_texts(TEXTS)), expected, strict=True):
        np.testing.assert_allclose(found, (rows / rows.norm(dim=-1, keepdim=True)).numpy(), atol=1e-6)


def test_the_names_and_sizes_are_those_of_vit_h_14():
    """986,109,441 parameters, as open_clip counts them; without any memory."""
    sizes = Sizes(
        Tower(1280, 5120, 32), Tower(1024, 4096, 24), common=1024, patch=14, grid=16, context=77, vocabulary=49408
    )
    with torch.device("meta"):
        tensors = {name: torch.empty(shape) for name, shape in sizes.shapes().items()}
        model = CLIPModel(model_config(sizes, image_heads=16, text_heads=16, end_token=49407))
    assert Sizes.of(tensors, Path("ViT-H-14")) == sizes
    assert sum(tensor.numel() for tensor in tensors.values()) == 986_109_441
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in to_transformers(tensors).items()} == shapes
    assert model.config.vision_config.image_size == 224


def test_all_ways_to_write_a_checkpoint_are_read_alike(tmp_path: Path):
    path = write_checkpoint(tmp_path)
    tensors = dict(random_open_clip().state_dict())
    torch.save(tensors, tmp_path / "bare.pt")
    save_file({name: tensor.half() for name, tensor in tensors.items()}, tmp_path / "half.safetensors")
    rows = hps_encoder(path).embed_images(pictures())
    np.testing.assert_array_equal(hps_encoder(tmp_path / "bare.pt").embed_images(pictures()), rows)
    halved = hps_encoder(tmp_path / "half.safetensors")
    np.testing.assert_allclose(halved.embed_images(pictures()), rows, atol=5e-3)
    assert next(halved.loaded.model.parameters()).dtype == torch.float32


def test_each_distinct_text_is_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    encoder, seen = hps_encoder(write_checkpoint(tmp_path)), []
    rows_of = encoder._text_rows
    monkeypatch.setattr(encoder, "_text_rows", lambda texts: seen.extend(texts) or rows_of(texts))
    assert len(encoder.embed_texts(["a", "b", "a", "a"])) == 4
    assert seen == ["a", "b"]


def test_texts_are_cleaned_and_cut(tmp_path: Path):
    assert clean_text(" a &amp;amp; b\n“ﬁne” ＡＢ\x00 ") == 'a & b "fine" AB'
    tokenizer = load_tokenizer(write_tokenizer(tmp_path, {"cat</w>": 600}, markers=(700, 701)))
    assert token_ids(tokenizer, ["CAT cat"], 5)[0, :4].tolist() == [700, 600, 600, 701]
    assert token_ids(tokenizer, ["cat " * 99], 5).tolist() == [[700, 600, 600, 600, 701]]


def needs(most: int, asked: list[int]) -> Callable[[Sequence[int]], torch.Tensor]:
    """Rows of a model that runs out of memory above so many inputs."""

    def rows_of(batch: Sequence[int]) -> torch.Tensor:
        asked.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.tensor(batch)[:, None]

    return rows_of


def test_batches_are_halved_when_memory_runs_out():
    asked: list[int] = []
    rows = torch.cat(in_batches(range(10), 8, needs(3, asked), "x"))
    assert rows[:, 0].tolist() == list(range(10))
    assert asked == [8, 4, 2, 2, 2, 2, 2]
    with pytest.raises(BackendError, match="x: out of memory for a single input"):
        in_batches([1], 8, needs(0, []), "x")


def test_weights_that_do_not_fit_are_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    encoder = hps_encoder(write_checkpoint(tmp_path))
    monkeypatch.setattr(CLIPModel, "to", fail)
    with pytest.raises(BackendError, match="out of memory for the weights on cpu"):
        encoder.embed_texts(["a"])


def test_what_is_not_finite_is_no_embedding(tmp_path: Path):
    path = write_checkpoint(tmp_path, lambda t: t.update({"visual.proj": torch.full((32, 16), torch.nan)}))
    with pytest.raises(BackendError, match="not finite in float32"):
        hps_encoder(path).embed_images(pictures())


def test_the_judges_score_the_cosine(tmp_path: Path):
    path = write_checkpoint(tmp_path)
    image = tmp_path / "picture.png"
    pictures()[0].save(image)
    spec = {"use": "hps", "weights": str(path), "image_heads": 4, "text_heads": 2}
    judge = Builder().judge({"use": "aesthetic", "encoder": spec})
    assert judge.name == "aesthetic[hps-v2.1]"
    outcomes = judge.judge(
        [Sample(id="1", prompt="a"), Sample(id="2", prompt="b", image=image), Sample(id="3", prompt="a", image=image)]
    )
    assert isinstance(outcomes[0], Unscored)
    assert outcomes[0].why is Why.NO_INPUT
    encoder = hps_encoder(path)
    expected = encoder.embed_images(pictures()[:1]) @ encoder.embed_texts(["b", "a"]).T
    assert [outcome.value for outcome in outcomes[1:] if isinstance(outcome, Score)] == pytest.approx(
        expected[0].tolist()
    )
    folder = random_clip_folder(tmp_path / "clip-vit-tiny")
    other = Builder().judge({"use": "clip_score", "encoder": {"use": "clip", "model": str(folder)}})
    assert other.name == "clip_score[clip-vit-tiny]"
    assert other.fingerprint != judge.fingerprint


def test_a_failing_encoder_is_no_verdict(tmp_path: Path):
    path = write_checkpoint(tmp_path, lambda t: t.update({"visual.proj": torch.full((32, 16), torch.nan)}))
    pictures()[0].save(tmp_path / "picture.png")
    with pytest.raises(BackendError):
        CosineJudge("aesthetic", hps_encoder(path)).judge([Sample(id="s", prompt="p", image=tmp_path / "picture.png")])
