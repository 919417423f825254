"""HPSv3's files: a Qwen2-VL under the names of its authors' transformers, a head, its tokenizer and its words.

``HPSv3.safetensors`` holds the picture's tower (``visual.``), the language model (``model.``), a table of output words
that no rating depends on (``lm_head.weight``) and the head (``rm_head.``). Sizes that tensors do not tell, such as the
number of attention heads, stand in the configuration of the model that it was trained from, Qwen2-VL-7B-Instruct, whose
tokenizer gets one more token, ``<|Reward|>``. The request stands in the authors' package on PyPI (hpsv3 1.0.0, MIT),
which is read and never run.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Qwen2VLConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

from gotr1_eval.core.errors import DataError, UsageError, one_line
from gotr1_eval.files.authors_wording import SourceFile
from gotr1_eval.models.checkpoint import first_names, quiet, read_model_type, read_tokenizer
from gotr1_eval.models.encoders._open_clip import read_tensors
from gotr1_eval.models.reward_models._affine_head import check_tensors

REWARD = "<|Reward|>"
_SOURCE = "hpsv3/dataset/data_collator_qwen.py"
_UNREAD = "lm_head.weight"
_HEAD = {"0": (1024, None), "3": (16, 1024), "5": (2, 16)}
"""Layer's place -> (rows, columns); None is the language model's width. Before the second and third stands a ReLU."""
_ROWS = "model.embed_tokens.weight"
_TOKENS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|endoftext|>")


class HpsV3Network(nn.Module):
    """Qwen2-VL without its output words, and the head, which is float32 whatever the rest is."""

    def __init__(self, qwen: Any, head: nn.Sequential) -> None:  # noqa: ANN401 - transformers is untyped
        super().__init__()
        self.qwen, self.head = qwen, head

    def forward(
        self, ids_BL: torch.Tensor, mask_BL: torch.Tensor, positions_ABL: torch.Tensor, places_B: torch.Tensor,
        patches: torch.Tensor, grids_N3: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """float32 [B, 2]: what the head makes of one place of each row.

        Args:
            positions_ABL: of every token, on the axes of time, height and width.
            places_B: of the tokens that the head looks at.
            patches: of all pictures, one after the other; `grids_N3` says how many each has.
        """
        seen = self.qwen.get_image_features(patches, grids_N3, return_dict=True).pooler_output
        embedded_BLE = self.qwen.get_input_embeddings()(ids_BL)
        pictures_PE = torch.cat(tuple(seen)).to(embedded_BLE.dtype)
        is_picture_BL1 = (ids_BL == self.qwen.config.image_token_id).unsqueeze(-1)
        embedded_BLE = embedded_BLE.masked_scatter(is_picture_BL1, pictures_PE)
        read_BLE = self.qwen.language_model(
            inputs_embeds=embedded_BLE, attention_mask=mask_BL, position_ids=positions_ABL, use_cache=False
        ).last_hidden_state
        rows_B = torch.arange(len(ids_BL), device=ids_BL.device)
        rated_B2: torch.Tensor = self.head(read_BLE[rows_B, places_B].float())
        return rated_B2


def load_network(path: Path, config: Qwen2VLConfig, dtype: torch.dtype) -> HpsV3Network:
    """The network of the authors' file, on the CPU.

    Args:
        config: of the base model; its number of words is replaced by the file's, which has one more.

    Raises:
        DataError: the file is damaged, or a tensor is missing, surplus or misshapen.
    """
    tensors = read_tensors(path)
    if _ROWS not in tensors or tensors[_ROWS].dim() != 2:
        raise DataError(f"not HPSv3's weights: 1 missing ({_ROWS})", path=path)
    config.text_config.vocab_size = tensors[_ROWS].shape[0]
    check_tensors(path, "HPSv3", expected_shapes(config), tensors)
    renamed = {new: tensors[old] for old, new in names(tensors).items()}
    with quiet():
        qwen = Qwen2VLModel.from_pretrained(None, config=config, state_dict=renamed, dtype=dtype)
    return HpsV3Network(qwen, _head(tensors))


def names(tensors: Mapping[str, Any]) -> dict[str, str]:
    """Names in the authors' file -> names in transformers' `Qwen2VLModel`, of every weight of the latter."""
    return {
        name: name if name.startswith("visual.") else f"language_model.{name.removeprefix('model.')}"
        for name in tensors
        if name.startswith(("visual.", "model."))
    }


def expected_shapes(config: Qwen2VLConfig) -> dict[str, tuple[int, ...]]:
    """The name and shape of every tensor that the authors' file has for such a model."""
    text = config.text_config
    with torch.device("meta"):
        ours = {name: tuple(tensor.shape) for name, tensor in Qwen2VLModel(config).state_dict().items()}
    shapes = {
        name if name.startswith("visual.") else f"model.{name.removeprefix('language_model.')}": shape
        for name, shape in ours.items()
    }
    for place, (rows, columns) in _HEAD.items():
        shapes[f"rm_head.{place}.weight"] = (rows, columns or text.hidden_size)
        shapes[f"rm_head.{place}.bias"] = (rows,)
    return {**shapes, _UNREAD: (text.vocab_size, text.hidden_size)}


def _head(tensors: Mapping[str, torch.Tensor]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for place in _HEAD:
        weight, bias = (tensors[f"rm_head.{place}.{part}"].float() for part in ("weight", "bias"))
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def read_config(base: Path) -> Qwen2VLConfig:
    """The configuration of the model that HPSv3 was trained from.

    Raises:
        UsageError: another model's folder.
        DataError: its configuration is damaged.
    """
    if (kind := read_model_type(base)) != "qwen2_vl":
        raise UsageError(f"{base}: expected model_type 'qwen2_vl' (Qwen2-VL-7B-Instruct), got {kind!r}")
    try:
        return Qwen2VLConfig.from_pretrained(base, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"not a configuration of Qwen2-VL: {one_line(error)}", path=base / "config.json") from None


def load_tokenizer(base: Path) -> Any:  # noqa: ANN401 - transformers is untyped
    """The base model's tokenizer with the reward token behind its last one.

    Raises:
        UsageError: there is none.
        DataError: it is none of Qwen2-VL's.
    """
    tokenizer = read_tokenizer(base)
    known = tokenizer.get_vocab()
    if missing := [token for token in _TOKENS if token not in known]:
        raise DataError(
            f"the tokenizer lacks {first_names(missing)}; expected Qwen2-VL's", path=base / "tokenizer.json"
        )
    tokenizer.add_special_tokens({"additional_special_tokens": [REWARD]})
    return tokenizer


@dataclass(frozen=True, slots=True)
class Wording:
    """The request around a prompt, which is set in where the instruction says ``{text_prompt}``."""

    instruction: str
    closing: str

    def user_text(self, prompt: str) -> str:
        """What the user's turn says besides the picture."""
        return self.instruction.replace("{text_prompt}", prompt) + self.closing

    def chat(self, prompt: str) -> str:
        """The conversation up to where an answer would begin, in Qwen2-VL's template."""
        user = f"<|vision_start|><|image_pad|><|vision_end|>{self.user_text(prompt)}"
        turns = (("system", "You are a helpful assistant."), ("user", user))
        return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"


def read_wording(wheel: Path) -> Wording:
    """The request, out of the authors' package.

    Raises:
        DataError: it is no such package.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(_SOURCE).decode("utf-8")
    except (OSError, zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"expected the package hpsv3 with {_SOURCE} ({one_line(error)})", path=wheel) from None
    source = SourceFile(wheel / _SOURCE, text)
    return Wording(str(source.constant("INSTRUCTION")), str(source.constant("prompt_with_special_token")))
