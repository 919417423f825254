"""BLIP-VQA's files: weights for transformers' `BlipForQuestionAnswering`, and the tokenizer that reads questions.

Weights come from the authors' ``.pth`` or from a folder. The authors' layer-norm epsilon in the picture's tower is
1e-6; transformers' default, which the converted folders on the hub carry, is 1e-5. It is 1e-6 here in both cases. Every
tensor is accounted for.

Questions are cleaned, in BERT's lower-cased word pieces, between [ENC] and [SEP]. The tokenizer is that of
bert-base-uncased, to which BLIP appends [DEC] and [ENC]. Where a folder's tokenizer lacks the two, they are the two ids
behind its last one, which is where BLIP puts them (30522 and 30523).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import BlipConfig, BlipForQuestionAnswering

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.checkpoint import first_names, in_words, quiet, read_model_type, shape_faults, weight_faults
from gotr1_eval.models.vqa._bert_files import Tensors, read_pieces, read_tensors

VISION_EPSILON = 1e-6
_TOP = {
    "visual_encoder.cls_token": "vision_model.embeddings.class_embedding",
    "visual_encoder.pos_embed": "vision_model.embeddings.position_embedding",
    "visual_encoder.patch_embed.proj.": "vision_model.embeddings.patch_embedding.",
    "visual_encoder.norm.": "vision_model.post_layernorm.",
}
_IN_BLOCK = {"attn.qkv.": "self_attn.qkv.", "attn.proj.": "self_attn.projection.", "norm1.": "layer_norm1.",
             "norm2.": "layer_norm2.", "mlp.": "mlp."}  # fmt: skip
_BLOCK = re.compile(r"visual_encoder\.blocks\.(\d+)\.")
_BUFFER = ".position_ids"
"""The constants 0, 1, 2, ..., which the authors' file holds as if they were weights."""
_TIED = ("text_decoder.bert.embeddings.word_embeddings.weight", "text_decoder.cls.predictions.decoder.weight")
_ANCHORS = {
    "visual_encoder.pos_embed": 3, "visual_encoder.patch_embed.proj.weight": 4,
    "visual_encoder.blocks.0.mlp.fc1.weight": 2,
    "text_encoder.embeddings.word_embeddings.weight": 2, "text_encoder.embeddings.position_embeddings.weight": 2,
    "text_encoder.encoder.layer.0.intermediate.dense.weight": 2,
}  # fmt: skip
"""The tensors that the sizes are read from, with their numbers of axes."""


def load_folder(folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401 - transformers is untyped
    """The model of a folder in transformers' layout, on the CPU.

    Raises:
        UsageError: another model's folder.
        DataError: damaged files, or a weight that is missing, surplus or misshapen.
    """
    kind = read_model_type(folder)
    if kind != "blip":
        raise UsageError(f"{folder}: expected model_type 'blip', got {kind!r}")
    try:
        config = BlipConfig.from_pretrained(folder)
        config.vision_config.layer_norm_eps = VISION_EPSILON
        with quiet():
            model, info = BlipForQuestionAnswering.from_pretrained(
                folder, config=config, dtype=dtype, local_files_only=True, output_loading_info=True,
                ignore_mismatched_sizes=True,
            )  # fmt: skip
    except (
        OSError, SafetensorError, StrictDataclassError, ValueError, RuntimeError, EOFError, KeyError, TypeError,
    ) as error:  # fmt: skip
        raise DataError(f"the BLIP weights cannot be read: {one_line(error)}", path=folder) from None
    surplus = {key for key in info["unexpected_keys"] if not key.endswith(_BUFFER)}
    if faults := weight_faults({**info, "unexpected_keys": surplus}):
        raise DataError(f"the weights do not make a BLIP-VQA model: {faults}", path=folder)
    return model


def load_original(path: Path, dtype: torch.dtype, *, image_heads: int, text_heads: int) -> Any:  # noqa: ANN401
    """The model of the authors' file (``model_base_vqa_capfilt_large.pth``), on the CPU.

    Args:
        image_heads: attention heads of the picture's tower, which the tensors do not tell; `text_heads` likewise.

    Raises:
        DataError: the file is damaged, or a tensor is missing, surplus or misshapen.
        UsageError: a tower's width is no multiple of its number of heads.
    """
    tensors = read_tensors(path, ("model",), "BLIP")
    _check_anchors(path, tensors)
    config = _config(tensors, image_heads, text_heads)
    for tower, part, heads in (
        ("picture", config.vision_config, image_heads), ("text", config.text_config, text_heads),
    ):  # fmt: skip
        if part.hidden_size % heads:
            raise UsageError(f"{path}: the {tower}'s width {part.hidden_size} is no multiple of its {heads} heads")
    renamed = {rename(name): tensor for name, tensor in tensors.items() if not name.endswith(_BUFFER)}
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in BlipForQuestionAnswering(config).state_dict().items()}
    _check(path, expected, renamed)
    with quiet():
        return BlipForQuestionAnswering.from_pretrained(None, config=config, state_dict=renamed, dtype=dtype)


def rename(name: str) -> str:
    """The authors' name of a tensor as transformers calls it; the two text towers' names are the same in both."""
    for start, new in _TOP.items():
        if name.startswith(start):
            return new + name.removeprefix(start)
    block = _BLOCK.match(name)
    if block is None:
        return name
    inner = name[block.end() :]
    for start, new in _IN_BLOCK.items():
        if inner.startswith(start):
            return f"vision_model.encoder.layers.{block[1]}.{new}{inner.removeprefix(start)}"
    return name


def _check_anchors(path: Path, tensors: Tensors) -> None:
    missing = [name for name in _ANCHORS if name not in tensors]
    if missing:
        raise DataError(f"not BLIP-VQA's weights: {len(missing)} missing ({first_names(missing)})", path=path)
    misshapen = [name for name, axes in _ANCHORS.items() if tensors[name].dim() != axes]
    if misshapen:
        raise DataError(f"not BLIP-VQA's weights: {len(misshapen)} misshapen ({first_names(misshapen)})", path=path)


def _check(path: Path, expected: dict[str, torch.Size], found: Tensors) -> None:
    """Raises DataError unless the tensors are those of the model, and those that are one in it are equal."""
    if faults := in_words(shape_faults(expected, found)):
        raise DataError(f"the weights do not make a BLIP-VQA model: {faults}", path=path)
    if not torch.equal(*(found[name] for name in _TIED)):
        raise DataError(f"expected {' and '.join(_TIED)} to be equal, as in training; they differ", path=path)


def _config(tensors: Tensors, image_heads: int, text_heads: int) -> BlipConfig:
    """The sizes that the tensors have; a picture is cut into grid x grid patches of patch x patch."""
    patches, width = tensors["visual_encoder.pos_embed"].shape[1:]
    patch = tensors["visual_encoder.patch_embed.proj.weight"].shape[-1]
    vocabulary, text_width = tensors["text_encoder.embeddings.word_embeddings.weight"].shape
    vision = {
        "hidden_size": width, "intermediate_size": tensors["visual_encoder.blocks.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": 1 + max(int(match[1]) for name in tensors if (match := _BLOCK.match(name))),
        "num_attention_heads": image_heads, "patch_size": patch, "image_size": patch * math.isqrt(max(patches - 1, 0)),
        "layer_norm_eps": VISION_EPSILON,
    }  # fmt: skip
    layers = {name.split(".")[3] for name in tensors if name.startswith("text_encoder.encoder.layer.")}
    text = {
        "hidden_size": text_width, "vocab_size": vocabulary, "num_hidden_layers": len(layers),
        "intermediate_size": tensors["text_encoder.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "num_attention_heads": text_heads, "bos_token_id": None, "eos_token_id": None, "sep_token_id": None,
        "max_position_embeddings": tensors["text_encoder.embeddings.position_embeddings.weight"].shape[0],
    }  # fmt: skip
    return BlipConfig(vision_config=vision, text_config=text)


_NEEDED = ("[SEP]", "yes", "no")
_DELETED = str.maketrans("", "", '.!"()*#:;~')
MOST_WORDS = 50
MOST_TOKENS = 35


def clean_question(question: str) -> str:
    """The question as the model is asked it: lower case, ``.!"()*#:;~`` deleted, at most `MOST_WORDS` words.

    White space is left as it is, except at the end and where words are cut off. Source: T2I-CompBench,
    ``BLIPvqa_eval/data/utils.py``.
    """
    cleaned = question.lower().translate(_DELETED).rstrip(" ")
    words = cleaned.split(" ")
    return " ".join(words[:MOST_WORDS]) if len(words) > MOST_WORDS else cleaned


@dataclass(frozen=True, slots=True)
class BlipTokenizer:
    """Word pieces, and the ids that BLIP-VQA gives a meaning.

    Attributes:
        start: [DEC], from which the answer is decoded.
        yes: weighed against `no`.
    """

    pieces: Any
    enc: int
    sep: int
    start: int
    yes: int
    no: int

    def ids(self, question: str) -> tuple[int, ...]:
        """[ENC], the cleaned question's word pieces cut to fit `MOST_TOKENS`, [SEP]."""
        # Lone surrogates, which a damaged prompt may hold, cannot be handed to the tokenizer.
        text = clean_question(question).encode("utf-8", "replace").decode("utf-8")
        pieces = self.pieces(text, add_special_tokens=False)["input_ids"]
        return (self.enc, *pieces[: MOST_TOKENS - 2], self.sep)


def load_tokenizer(path: Path, vocabulary: int) -> BlipTokenizer:
    """The tokenizer of a file.

    Args:
        vocabulary: ids that the model embeds.

    Raises:
        DataError: it is damaged, lacks a token that BLIP-VQA needs, or does not fit the model.
    """
    pieces = read_pieces(path)
    known = pieces.get_vocab()
    if missing := [token for token in _NEEDED if token not in known]:
        raise DataError(f"the vocabulary lacks {', '.join(missing)}; expected bert-base-uncased's", path=path)
    end = max(known.values()) + 1
    start, enc = known.get("[DEC]", end), known.get("[ENC]", end + 1)
    if max(end - 1, start, enc) != vocabulary - 1:
        raise DataError(
            f"with [DEC] and [ENC] the tokenizer has {max(end, start + 1, enc + 1)} ids, the model embeds {vocabulary}",
            path=path,
        )
    return BlipTokenizer(pieces, enc=enc, sep=known["[SEP]"], start=start, yes=known["yes"], no=known["no"])
