"""Reward models against what their authors' code gave on random weights: prepared pictures, token ids, scores."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, Qwen2VLConfig

from gotr1_eval.core.types import Sample
from gotr1_eval.files.official_files import weights_folder
from gotr1_eval.files.pictures import open_stored
from gotr1_eval.models.reward_models import _hps_v3_files, hps_v3, image_reward, laion_aesthetic, pick_score
from gotr1_eval.models.reward_models import _image_reward_files as image_reward_files
from gotr1_eval.models.vlms.server_settings import smart_resized
from rewards.rating import RatingJudge
from tests.conftest import SHARED, shared_parameters

Arrays = Mapping[str, np.ndarray]
VOCABULARY = "golden/models/extra/bert-base-uncased-vocab.txt"


def beside(name: str) -> Path:
    """A file that all parts of the reference data have in common, and that lies in one of them."""
    for folder in (SHARED, Path(__file__).parents[3] / "shared"):
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"no {name} under {SHARED} (set GOTR1_SHARED)")


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    """How the reference's random weights are made."""
    spec = importlib.util.spec_from_file_location("recipe", beside("golden/models/recipe.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn(recipe: ModuleType, salt: str, shapes: Mapping[str, Sequence[int]], rules: Any) -> dict[str, torch.Tensor]:
    state = recipe.state(salt, shapes, rules)
    return {name: torch.from_numpy(np.asarray(array)) for name, array in state.items()}


def digest(recipe: ModuleType, tensors: Mapping[str, torch.Tensor]) -> str:
    text: str = recipe.sha256({name: tensor.numpy() for name, tensor in tensors.items()})
    return text


def golden(path: Path, count: Callable[[Path], Path]) -> tuple[dict[str, Any], Arrays]:
    arrays = np.load(count(path.parent / "vectors.npz"))
    return json.loads(count(path).read_text(encoding="utf-8")), arrays


IMAGE_REWARD = shared_parameters("golden/models/imagereward/meta.json")


@pytest.mark.parametrize("path", IMAGE_REWARD)
def test_image_reward_prepares_pictures_as_its_authors(path: Path, count_shared: Callable[[Path], Path]):
    meta, arrays = golden(path, count_shared)
    for each in meta["pictures"]:
        name = Path(each["file"]).stem
        pixels = image_reward.prepare(open_stored(path.parent / each["file"])).numpy()
        np.testing.assert_array_equal(pixels[:, ::16, ::16], arrays[f"px_sub__{name}"], err_msg=name)
        assert hashlib.sha256(np.ascontiguousarray(pixels, dtype="<f4")).hexdigest() == each["pixel_sha256"], name


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> Path:
    (tmp_path / "vocab.txt").write_bytes(beside(VOCABULARY).read_bytes())
    return tmp_path


@pytest.mark.parametrize("path", IMAGE_REWARD)
def test_image_reward_reads_prompts_as_its_authors(
    path: Path, count_shared: Callable[[Path], Path], tokenizer_folder: Path
):
    tokenizer = image_reward_files.load_tokenizer(tokenizer_folder / "vocab.txt")
    for each in golden(path, count_shared)[0]["prompts"]:
        assert tokenizer.padded(each["text"]) == (each["input_ids"], each["attention_mask"]), each["text"]
        assert len(tokenizer.ids(each["text"])) == each["n_untruncated"], each["text"]


@pytest.mark.parametrize("path", IMAGE_REWARD)
@pytest.mark.parametrize("size", ["tiny", "mid", "quiet"])
def test_image_reward_scores_as_its_authors(
    path: Path, size: str, count_shared: Callable[[Path], Path], recipe: ModuleType, tokenizer_folder: Path
):
    meta, arrays = golden(path, count_shared)
    config = meta["configs"][size]
    rules = meta["rules_quiet"] if size == "quiet" else meta["rules"]
    tensors = drawn(recipe, config["salt"], image_reward_shapes(config), rules)
    assert digest(recipe, tensors) == config["weights_sha256"]
    torch.save(tensors, tokenizer_folder / "tiny.pt")
    heads = {"image_heads": config["vit"]["heads"], "text_heads": config["bert"]["heads"]}
    model = image_reward.ImageReward(
        image_reward.Settings(weights=tokenizer_folder / "tiny.pt", device="cpu", batch_size=7, **heads)
    )
    pairs = [(i, j) for i in range(len(meta["pictures"])) for j in range(len(meta["prompts"]))]
    samples = [
        Sample(id=f"{i}/{j}", prompt=meta["prompts"][j]["text"], image=path.parent / meta["pictures"][i]["file"])
        for i, j in pairs
    ]
    outcomes = RatingJudge("image_reward", model).judge(samples)
    expected = arrays[f"{size}__scores64"]
    for (i, j), outcome in zip(pairs, outcomes, strict=True):
        assert outcome.value == pytest.approx(expected[i, j], abs=1e-4), (i, j)  # type: ignore[union-attr]
        assert bool(outcome.note) == (meta["prompts"][j]["n_untruncated"] > 35)  # type: ignore[union-attr]


def image_reward_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The authors' names and shapes for a configuration, which the manifest confirms where there is one."""
    vit, bert = config["vit"], config["bert"]
    image, text = image_reward_files.tower_configs(
        image_width=vit["width"], image_layers=vit["depth"], image_hidden=4 * vit["width"], image_heads=vit["heads"],
        patch=16, grid=14, text_width=bert["hidden"], text_layers=bert["layers"], text_hidden=bert["inter"],
        text_heads=bert["heads"], vocabulary=30524, positions=512,
    )  # fmt: skip
    shapes = image_reward_files.expected_shapes(image, text)
    if "manifest" in config:
        assert shapes == {name: tuple(shape) for name, shape in config["manifest"].items()}
    return shapes


@pytest.mark.parametrize("path", shared_parameters("golden/models/imagereward/manifest_full.json"))
def test_every_tensor_of_image_reward_is_accounted_for(path: Path, read_shared: Callable[[Path], str]):
    manifest = {name: tuple(shape) for name, shape in json.loads(read_shared(path)).items()}
    config = {
        "vit": {"width": 1024, "depth": 24, "heads": 16}, "bert": {"hidden": 768, "layers": 12, "heads": 12,
        "inter": 3072},
    }  # fmt: skip
    assert image_reward_shapes(config) == manifest


def clip_model(config: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> CLIPModel:
    model = CLIPModel(CLIPConfig.from_dict(config)).eval()
    model.load_state_dict(dict(tensors))
    return model


@pytest.mark.parametrize("path", shared_parameters("golden/models/pickscore/meta.json"))
def test_pick_score_scores_as_its_authors(
    path: Path, count_shared: Callable[[Path], Path], recipe: ModuleType, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):  # fmt: skip
    """The golden inputs are ids and pixels: what stands between them and texts and pictures is replaced here."""
    meta, arrays = golden(path, count_shared)
    tensors = drawn(recipe, meta["salt"], meta["manifest"], meta["rules"])
    assert digest(recipe, tensors) == meta["weights_sha256"]
    clip_model(meta["config"], tensors).save_pretrained(tmp_path)
    model = pick_score.PickScore(pick_score.Settings(model=str(tmp_path), device="cpu"))
    pixels = [
        torch.from_numpy(recipe.tensor(meta["salt"], f"pixels.{i}", (3, 56, 56), [[".", "table", 1.0]])).float()
        for i in range(len(arrays["image_features"]))
    ]
    rows = arrays["input_ids"]
    model.__dict__["tokenizer"] = StandIn()
    monkeypatch.setattr(model, "prepare", lambda picture, side: pixels[picture.width - 1])
    monkeypatch.setattr(
        "gotr1_eval.models.encoders._clip_model.token_ids",
        lambda tokenizer, texts, length, clean: torch.from_numpy(rows[[int(text) for text in texts]]),
    )
    pictures = [Image.new("RGB", (place + 1, 1)) for place in range(len(pixels))]
    for row, expected in enumerate(arrays["score_matrix64"]):
        outcomes = model.rate(pictures, [str(row)] * len(pictures))
        values = [outcome.value for outcome in outcomes]  # type: ignore[union-attr]
        np.testing.assert_allclose(values, expected, atol=1e-4)
        cosines = [outcome.parts["cosine"] for outcome in outcomes]  # type: ignore[union-attr]
        np.testing.assert_allclose(
            np.array(cosines) * np.exp(tensors["logit_scale"].double().item()), expected, atol=1e-4
        )


class StandIn:
    """A tokenizer that is only asked how many ids it has."""

    def get_vocab(self) -> dict[str, int]:
        return {"a": 0}


@pytest.mark.parametrize("path", shared_parameters("golden/models/laion_aesthetic/meta.json"))
def test_the_aesthetic_head_scores_as_its_authors(
    path: Path, count_shared: Callable[[Path], Path], recipe: ModuleType, tmp_path: Path
):
    meta, arrays = golden(path, count_shared)
    head = drawn(recipe, meta["mlp_salt"], meta["mlp_manifest"], meta["rules"])
    assert digest(recipe, head) == meta["mlp_weights_sha256"]
    torch.save(head, tmp_path / "head.pth")
    settings = laion_aesthetic.Settings(head=tmp_path / "head.pth")
    features = np.stack([recipe.tensor(meta["salt"], f"features.{i}", (768,), [[".", "table", 3.0]]) for i in range(8)])
    for rows, name in ((arrays["image_features"], "scores_pixels"), (features, "scores_features")):
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        model = laion_aesthetic.LaionAesthetic(settings, Rows(units.astype(np.float32)))
        outcomes = model.rate([Image.new("RGB", (1, 1))] * len(rows), [""] * len(rows))
        np.testing.assert_allclose([o.value for o in outcomes], arrays[name].ravel(), atol=1e-5)  # type: ignore[union-attr]


class Rows:
    """An encoder that knows the features of its pictures."""

    name, fingerprint = "rows", "rows"

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self.rows

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        raise AssertionError("the aesthetic head reads no prompt")


HPS_V3 = shared_parameters("golden/models/hpsv3/meta.json")


@pytest.mark.parametrize("path", HPS_V3)
def test_hps_v3_prepares_pictures_as_its_authors(path: Path, count_shared: Callable[[Path], Path]):
    meta, arrays = golden(path, count_shared)
    for place, each in enumerate(meta["pictures"]):
        picture = open_stored(path.parent / each["file"])
        for size, pixels in (("full", hps_v3.PIXELS), ("small", 16 * 28 * 28)):
            prepared = hps_v3.prepare(picture, pixels)
            assert list(prepared.grid) == each[size]["grid"], each["file"]
            assert list(prepared.patches.shape) == each[size]["shape"]
        np.testing.assert_allclose(prepared.patches, arrays[f"small_px__{place}"], atol=1e-6, err_msg=each["file"])
        whole = hps_v3.prepare(picture).patches
        np.testing.assert_allclose(whole[::37, ::7], arrays[f"full_px_sub__{place}"], atol=1e-6, err_msg=each["file"])
    for case in meta["resize"]:
        size = (case["width"], case["height"])
        if case["result"] == "ValueError":
            assert max(size) > hps_v3.MOST_OBLONG * min(size)
            continue
        resized = smart_resized(size, factor=28, min_pixels=hps_v3.PIXELS, max_pixels=hps_v3.PIXELS)
        assert [resized[1], resized[0]] == case["result"], case


@pytest.mark.parametrize("path", HPS_V3)
@pytest.mark.parametrize(("size", "positions"), [("tiny", "sequential"), ("mid", "sequential"), ("tiny", "mrope")])
def test_hps_v3_scores_as_its_authors(
    path: Path, size: str, positions: str, count_shared: Callable[[Path], Path], recipe: ModuleType, tmp_path: Path
):
    """The golden sequences are ids; the variant with M-RoPE is held to the same class given such positions."""
    meta, arrays = golden(path, count_shared)
    config, special = meta["configs"][size], meta["special_ids"]
    shapes = _hps_v3_files.expected_shapes(hps_v3_config(config, special))
    if "manifest" in config:
        assert shapes == {name: tuple(shape) for name, shape in config["manifest"].items()}
    tensors = drawn(recipe, config["salt"], shapes, meta["rules"])
    assert digest(recipe, tensors) == config["weights_sha256"]
    save_file(tensors, tmp_path / "HPSv3.safetensors")
    settings = hps_v3.Settings(weights=tmp_path / "HPSv3.safetensors", positions=positions, device="cpu")
    model = hps_v3.HpsV3(settings)
    model.__dict__["config"] = hps_v3_config(config, special)
    model.__dict__["tokenizer"] = HpsV3Ids(special, config["vocab"])
    rows = [
        hps_v3.Row(tuple(ids), hps_v3.prepare(open_stored(path.parent / each["file"]), 16 * 28 * 28))
        for ids, each in zip(meta["input_ids"], meta["pictures"], strict=True)
    ]
    alone = [model.rate_rows([row])[0] for row in rows]
    expected = arrays[f"{size}__mu_sigma64" if positions == "sequential" else f"{size}__mu_sigma_mrope_wrong"]
    np.testing.assert_allclose(alone, expected, atol=2e-4)
    together = model.rate_rows(rows)
    np.testing.assert_allclose(together, alone, atol=5e-5)
    if positions == "sequential":
        assert np.abs(expected - arrays[f"{size}__mu_sigma_mrope_wrong"]).max() > 1


class HpsV3Ids:
    """A tokenizer of which only the marks' ids are known."""

    def __init__(self, special: Mapping[str, int], count: int) -> None:
        names = {"<|image_pad|>": "image", "<|endoftext|>": "pad", "<|Reward|>": "reward"}
        self.ids, self.count = {mark: special[name] for mark, name in names.items()}, count

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.ids[token]

    def __len__(self) -> int:
        return self.count


def hps_v3_config(sizes: Mapping[str, Any], special: Mapping[str, int]) -> Qwen2VLConfig:
    rope = {"rope_type": "default", "mrope_section": sizes["mrope"], "rope_theta": 1000000.0}
    text = {
        "vocab_size": sizes["vocab"], "hidden_size": sizes["hidden"], "intermediate_size": sizes["inter"],
        "num_hidden_layers": sizes["layers"], "num_attention_heads": sizes["heads"],
        "num_key_value_heads": sizes["kv"], "rope_parameters": rope, "rms_norm_eps": 1e-6, "bos_token_id": None,
        "eos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    vision = {
        "depth": sizes["vd"], "embed_dim": sizes["vw"], "num_heads": sizes["vh"], "hidden_size": sizes["hidden"],
        "patch_size": 14,
    }  # fmt: skip
    marks = {f"{name}_token_id": special[name] for name in ("image", "video", "vision_start", "vision_end")}
    return Qwen2VLConfig(text_config=text, vision_config=vision, **marks)


@pytest.mark.parametrize("path", shared_parameters("golden/models/hpsv3/manifest_full.json"))
def test_every_tensor_of_hps_v3_is_accounted_for(path: Path, read_shared: Callable[[Path], str], tmp_path: Path):
    """With a configuration in the form in which Qwen2-VL-7B-Instruct is published, its text's numbers on top."""
    manifest = {name: tuple(shape) for name, shape in json.loads(read_shared(path)).items()}
    vision = {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "hidden_size": 3584, "patch_size": 14}
    published = {
        "model_type": "qwen2_vl", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "image_token_id": 151655, "video_token_id": 151656, "vision_start_token_id": 151652,
        "vision_end_token_id": 151653, "bos_token_id": 151643, "eos_token_id": 151645, "vision_config": vision,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(published))
    config = _hps_v3_files.read_config(tmp_path)
    config.text_config.vocab_size = 151658
    assert _hps_v3_files.expected_shapes(config) == manifest
    assert config.text_config.rope_parameters["mrope_section"] == [16, 24, 24]
    assert config.text_config.rope_parameters["rope_theta"] == 1000000.0


WHEEL = "hpsv3-1.0.0-py3-none-any.whl"


@pytest.mark.parametrize("path", HPS_V3)
def test_hps_v3_asks_in_its_authors_words(path: Path, count_shared: Callable[[Path], Path]):
    """Their package is fetched and not brought: without it there are no words to compare."""
    wheel = weights_folder() / WHEEL
    if not wheel.is_file():
        pytest.skip(f"no {wheel} (gotr1-eval weights hps-v3-request --download)")
    wording = _hps_v3_files.read_wording(wheel)
    for each in golden(path, count_shared)[0]["texts"]:
        for text, kind in ((wording.user_text(each["prompt"]), "user"), (wording.chat(each["prompt"]), "chat")):
            assert hashlib.sha256(text.encode()).hexdigest() == each[f"{kind}_text_sha256"], each["prompt"][:60]
