"""mPLUG-large's official folder: ``pytorch_model.bin``, ``config_bert.json`` and ``vocab.txt`` of ModelScope's
``damo/mplug_visual-question-answering_coco_large_en``.

Sizes are read from the tensors, the picture's side from its table of positions; config_bert.json says what tensors do
not tell: heads, how many layers of each stack are used, and the fusion's stride. Every tensor that an answer is made of
must be there in its shape. What the official code does not use either (momentum copies, CLIP's text tower, layers of
the fusion before the last ones) is left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.models.checkpoint import first_names, in_words, shape_faults
from gotr1_eval.models.vqa._bert_files import Tensors, read_pieces, read_tensors, tokenizer_file
from gotr1_eval.models.vqa._mplug_beams import END, START
from gotr1_eval.models.vqa._mplug_network import MplugNetwork, Sizes

WEIGHTS, CONFIG = "pytorch_model.bin", "config_bert.json"
MOST_TOKENS = 25
"""Of a question with its two marks; longer ones are cut, as in the official pipeline."""
_CONFIGURED = {
    "heads": "num_attention_heads", "text_layers": "text_encoder_layers", "fusion_layers": "fusion_layers",
    "decoder_layers": "text_decode_layers", "stride": "stride_layer", "stack": "num_hidden_layers",
}  # fmt: skip
_NAMES = (
    (r"visual_encoder\.visual\.", "vision."), (r"^vision\.class_embedding", "vision.first"),
    (r"^vision\.positional_embedding", "vision.positions"), (r"^vision\.conv1", "vision.patches"),
    (r"^vision\.ln_pre", "vision.before"), (r"^vision\.ln_post", "vision.after"),
    (r"^vision\.transformer\.resblocks\.", "vision.blocks."), (r"\.ln_1\.", ".before."), (r"\.ln_2\.", ".between."),
    (r"\.attn\.in_proj_", ".qkv."), (r"\.attn\.out_proj\.", ".out."), (r"\.mlp\.c_fc\.", ".widen."),
    (r"\.mlp\.c_proj\.", ".narrow."), (r"^visn_fc\.", "vision.narrow."), (r"^visn_layer_norm\.", "vision.norm."),
    (r"^text_encoder\.encoder\.layer\.", "text."), (r"^text_encoder\.", ""),
    (r"^fusion_encoder\.encoder\.layer\.", "fusion."), (r"^text_decoder\.bert\.encoder\.layer\.", "decoder.layers."),
    (r"^text_decoder\.bert\.", "decoder."), (r"^text_decoder\.cls\.predictions\.bias", "decoder.bias"),
    (r"^text_decoder\.cls\.predictions\.transform\.dense\.", "decoder.transform."),
    (r"^text_decoder\.cls\.predictions\.transform\.LayerNorm\.", "decoder.norm."),
    (r"\bword_embeddings\.", "words."), (r"\bposition_embeddings\.", "positions."),
    (r"\btoken_type_embeddings\.", "types."), (r"\.crossattention\.", ".cross."),
    (r"\.(attention|cross)\.self\.", r".\1."), (r"\.(attention|cross)\.output\.dense\.", r".\1.out."),
    (r"\.(attention|cross)\.output\.LayerNorm\.", r".\1.norm."), (r"\.intermediate\.dense\.", ".widen."),
    (r"\.output\.dense\.", ".narrow."), (r"\.output\.LayerNorm\.", ".norm."), (r"\bLayerNorm\.", "norm."),
)  # fmt: skip
_TABLE, _WORDS = "text_decoder.cls.predictions.decoder.weight", "text_decoder.bert.embeddings.word_embeddings.weight"
_FIRST = "visual_encoder.visual.conv1.weight"
_ANCHORS = {
    _FIRST: 4, "visual_encoder.visual.positional_embedding": 2, _WORDS: 2,
    "text_decoder.bert.embeddings.position_embeddings.weight": 2,
    "text_decoder.bert.encoder.layer.0.intermediate.dense.weight": 2,
}  # fmt: skip
"""The tensors that the sizes are read from, with their numbers of axes."""


def rename(name: str) -> str:
    """The official name of a tensor as `MplugNetwork` calls it, its fusion layers counted as in the file."""
    for pattern, new in _NAMES:
        name = re.sub(pattern, new, name)
    return name


def load_folder(folder: Path) -> MplugNetwork:
    """The network of the official folder, on the CPU in float32, in evaluation mode.

    Raises:
        UsageError: a file is missing.
        DataError: a file is damaged, or a tensor that is used is missing or misshapen.
    """
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise UsageError(f"no {name} in {folder}; expected ModelScope's folder of mPLUG-large VQA, whole")
    path = folder / WEIGHTS
    found = read_tensors(path, ("model", "module"), "mPLUG")
    tensors = {name.replace("model.", ""): tensor for name, tensor in found.items()}
    sizes, stack = _sizes(folder / CONFIG, path, tensors)
    with torch.device("meta"):
        network = MplugNetwork(sizes)
    network.load_state_dict(_placed(path, tensors, network, stack - sizes.fusion_layers), assign=True)
    return network.requires_grad_(False).eval()


def _sizes(config: Path, weights: Path, tensors: Tensors) -> tuple[Sizes, int]:
    """The sizes, and how many layers the file's fusion has, of which the last ones are used."""
    if missing := [name for name, axes in _ANCHORS.items() if name not in tensors or tensors[name].dim() != axes]:
        raise DataError(
            f"not mPLUG's weights: {len(missing)} missing or misshapen ({first_names(missing)})", path=weights
        )
    said = _configuration(config)
    stack = said.pop("stack")
    picture_width, _, _, patch = tensors[_FIRST].shape
    places = tensors["visual_encoder.visual.positional_embedding"].shape[0]
    vocabulary, width = tensors[_WORDS].shape
    if width % said["heads"] or picture_width % 64 or stack < said["fusion_layers"]:
        raise DataError(
            f"expected widths {width} and {picture_width} to be multiples of {said['heads']} heads and of 64, and "
            f"fusion_layers {said['fusion_layers']} of at most {stack}",
            path=config,
        )
    blocks = (re.match(r"visual_encoder\.visual\.transformer\.resblocks\.(\d+)\.", name) for name in tensors)
    sizes = Sizes(
        side=math.isqrt(places - 1) * patch, patch=patch, picture_width=picture_width,
        picture_layers=1 + max((int(match[1]) for match in blocks if match), default=-1),
        narrowed="visn_fc.weight" in tensors, width=width, vocabulary=vocabulary,
        inner=tensors["text_decoder.bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
        positions=tensors["text_decoder.bert.embeddings.position_embeddings.weight"].shape[0], **said,
    )  # fmt: skip
    return sizes, stack


def _configuration(path: Path) -> dict[str, int]:
    """What config_bert.json says of `_CONFIGURED`, each a whole number from 1."""
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        said = {ours: content[name] for ours, name in _CONFIGURED.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"expected mPLUG's configuration of BERT ({one_line(repr(error))})", path=path) from None
    if wrong := [_CONFIGURED[ours] for ours, value in said.items() if type(value) is not int or value < 1]:
        raise DataError(f"{wrong[0]}: expected a whole number from 1, got {content[wrong[0]]!r}", path=path)
    return said


def _placed(path: Path, tensors: Tensors, network: MplugNetwork, skipped: int) -> Tensors:
    """The tensors by the network's names, float32."""
    found = {_counted(rename(name), skipped): tensor for name, tensor in tensors.items()}
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if faults := in_words(shape_faults(expected, {name: found[name] for name in expected.keys() & found.keys()})):
        raise DataError(f"the weights do not make mPLUG's VQA model: {faults}", path=path)
    if _TABLE in tensors and not torch.equal(tensors[_TABLE], tensors[_WORDS]):
        raise DataError(f"expected {_TABLE} and {_WORDS} to be equal, as in training; they differ", path=path)
    return {name: found[name].float() for name in expected}


def _counted(name: str, skipped: int) -> str:
    """A fusion layer of the file as the network counts it, which has the last ones only."""
    match = re.match(r"fusion\.(\d+)\.", name)
    return f"fusion.{int(match[1]) - skipped}.{name[match.end() :]}" if match else name


@dataclass(frozen=True, slots=True)
class MplugTokenizer:
    """Bert-base-uncased's word pieces, into ids and back."""

    pieces: Any
    words: Mapping[int, str]

    def ids(self, question: str) -> tuple[int, ...]:
        """[CLS], the lower-cased question's pieces cut to fit `MOST_TOKENS`, [SEP]."""
        text = question.lower().encode("utf-8", "replace").decode("utf-8")
        pieces = self.pieces(text, add_special_tokens=False)["input_ids"]
        return (START, *pieces[: MOST_TOKENS - 2], END)

    def text(self, ids: tuple[int, ...]) -> str:
        """The words of an answer, without marks, pieces joined, no blank before punctuation and clitics."""
        words = (self.words[one] for one in ids)
        joined = " ".join(word for word in words if word not in _MARKS).replace(" ##", "").strip()
        for spaced in _CLOSE:
            joined = joined.replace(f" {spaced}", spaced)
        return joined


_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CLOSE = (".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re")


def load_tokenizer(folder: Path, vocabulary: int) -> MplugTokenizer:
    """The tokenizer of a folder.

    Args:
        vocabulary: ids that the model embeds.

    Raises:
        UsageError: there is none.
        DataError: it is damaged, is not bert-base-uncased's, or does not fit the model.
    """
    path = tokenizer_file(folder)
    pieces = read_pieces(path)
    words = {place: word for word, place in pieces.get_vocab().items()}
    if (words.get(START), words.get(END)) != ("[CLS]", "[SEP]") or max(words) >= vocabulary:
        raise DataError(
            f"expected bert-base-uncased's vocabulary, with [CLS] at {START} and [SEP] at {END}, and at most "
            f"{vocabulary} ids", path=path,
        )  # fmt: skip
    return MplugTokenizer(pieces, words)
