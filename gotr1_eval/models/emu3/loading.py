"""Reads an Emu3 checkpoint in transformers' layout, or says in one line why it cannot be read."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Emu3Config, Emu3ForConditionalGeneration
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.autoregressive.adapters import base_of, is_adapter, with_adapters
from gotr1_eval.models.autoregressive.checkpoints import check_ids, checkpoint_and_base, checkpoint_folder
from gotr1_eval.models.autoregressive.fused import prepare_language_model
from gotr1_eval.models.checkpoint import check_finite, load_whole, read_config_json
from gotr1_eval.models.emu3.sequence import Codes, Layout, SpecialIds, grid_size, image_codes, layout_of, load_tokenizer

TYPE = "emu3"
"""`model_type` of config.json."""
PREPROCESSING = "preprocessor_config.json"
AREA = 720 * 720
"""Pixels of a picture, where the checkpoint's image processor takes so many: the released models' own size."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a checkpoint's image processor says of pictures.

    Attributes:
        mean, std: of the channels in [0, 1], by which the picture tokenizer's pixels are normalised.
        least, most: pixels of a picture.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    least: int
    most: int

    @property
    def area(self) -> int:
        """Pixels of a picture unless somebody asks for others."""
        return min(max(AREA, self.least), self.most)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model in evaluation mode and without dropout, its tokenizer, and what every sequence needs."""

    model: Any
    tokenizer: Any
    special: SpecialIds
    codes: Codes
    pixels: Pixels

    def layout(self, area: int | None = None, ratio: str = "1:1") -> Layout:
        """Of pictures of about so many pixels; of the checkpoint's own size unless given."""
        rows, columns = grid_size(area or self.pixels.area, ratio, self.model.model.vqmodel.spatial_scale_factor)
        if not rows or not columns:
            raise UsageError(f"a picture of {area} pixels and the ratio {ratio} has no image tokens")
        return layout_of(self.tokenizer, self.special, self.codes, rows, columns)


def load_checkpoint(folder: Path, *, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    """Load model and tokenizer; of a folder of LoRA adapters also the checkpoint that it names.

    Raises:
        UsageError: the folder is no Emu3 checkpoint, or lacks a file.
        DataError: a file is damaged or does not fit the others, or a weight is not finite.
    """
    if is_adapter(folder):
        base = load_checkpoint(checkpoint_folder(base_of(folder)), device=device, dtype=dtype)
        adapted = replace(base, model=with_adapters(base.model, folder).eval())
        check_finite(adapted.model, folder)
        prepare_language_model(adapted.model.model.text_model)
        return adapted
    config = read_config(folder)
    tokenizer = load_tokenizer(folder)
    model = load_whole(Emu3ForConditionalGeneration, folder, device=device, dtype=dtype)
    check_finite(model, folder)
    return checkpoint_of(model, tokenizer, config, folder)


def checkpoint_of(model: Any, tokenizer: Any, config: Emu3Config, folder: Path) -> Checkpoint:  # noqa: ANN401
    """A model as it was read, made ready for sampling and training."""
    prepare_language_model(model.model.text_model)
    without_dropout(model.model.text_model)
    check_ids(folder, tokenizer, model.get_input_embeddings().num_embeddings)
    codes = image_codes(config.vocabulary_map or {}, config.vq_config.codebook_size, folder / "config.json")
    special = SpecialIds.of(tokenizer)
    if {name: config.vocabulary_map.get(name) for name in tokenizer.get_vocab()} != tokenizer.get_vocab():
        raise DataError("vocabulary_map names other ids than the tokenizer", path=folder / "config.json")
    return Checkpoint(model, tokenizer, special, codes, read_pixels(folder))


def without_dropout(language_model: Any) -> None:  # noqa: ANN401
    """Take the dropout out of every layer.

    The class has 10 % behind attention and MLP unless its configuration says otherwise. What is sampled without it
    would be scored with it, and no ratio of the two would be 1.
    """
    for module in language_model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0


def read_config(folder: Path) -> Emu3Config:
    """The configuration of a checkpoint, for adapters of the one under them; reads no weights.

    Raises:
        UsageError: there is no config.json, or it is another model's.
        DataError: it is damaged.
    """
    folder = checkpoint_and_base(folder)[-1]
    kind = read_config_json(folder, "a checkpoint folder of Emu3 in transformers' layout").get("model_type")
    if kind != TYPE:
        raise UsageError(
            f"{folder / 'config.json'}: expected model_type {TYPE!r} (transformers' layout; BAAI's own repositories "
            f"have another), got {kind!r}"
        )
    try:
        config: Emu3Config = Emu3Config.from_pretrained(folder)
    except Exception as error:  # noqa: BLE001 - a configuration's checks raise whatever its libraries raise
        raise DataError(f"not a configuration of Emu3: {one_line(error)}", path=folder / "config.json") from None
    return config


def read_pixels(folder: Path) -> Pixels:
    """The checkpoint's preprocessor_config.json; what it leaves out is the default of transformers' image processor.

    Raises:
        UsageError: there is none.
        DataError: it is damaged.
    """
    path = folder / PREPROCESSING
    if not path.is_file():
        raise UsageError(f"{folder} has no preprocessor_config.json, which says how pixels are normalised")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        mean, std = (
            tuple(float(value) for value in found.get(name, usual))
            for name, usual in (("image_mean", OPENAI_CLIP_MEAN), ("image_std", OPENAI_CLIP_STD))
        )
        return Pixels(mean, std, int(found.get("min_pixels", 512 * 512)), int(found.get("max_pixels", 1024 * 1024)))
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"not an image processor's configuration: {one_line(error)}", path=path) from None


def write_pixels(folder: Path, pixels: Pixels) -> None:
    """A preprocessor_config.json that says the same, for transformers' image processor too."""
    content = {
        "image_processor_type": "Emu3ImageProcessor",
        "image_mean": pixels.mean,
        "image_std": pixels.std,
        "min_pixels": pixels.least,
        "max_pixels": pixels.most,
    }
    (folder / PREPROCESSING).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
