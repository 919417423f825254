"""BLIP-VQA (arXiv 2201.12086): the probability that the answer to a question about a picture is "yes".

Shapes: N pictures, S side in pixels, P places of a picture (its patches and one more), B questions of equal length, T
tokens of each, E width, V tokens of the vocabulary.

What T2I-CompBench's own code computes, through transformers' classes, which differ from it in four points:

- pictures have 480 pixels a side (the folders on the hub were converted to 384; they are refused unless asked for, and
  then the size is part of the name);
- the first token of a question is [ENC], not [CLS];
- the epsilon of the picture's layer norms is 1e-6, not 1e-5;
- the decoder must not see the padding of shorter questions, and transformers ignores the mask that would hide it: only
  questions of equal length share a pass.

The answer is decoded one token far, from [DEC]. ``P(yes) / (P(yes) + P(no))`` of the softmax over all tokens is the
sigmoid of the difference of the two logits, which stays exact where both probabilities would vanish.

A picture is encoded once for all of its questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.files.official_files import official_file, require_file
from gotr1_eval.files.pictures import to_rgb
from gotr1_eval.models.checkpoint import files_digest, folder_digest, resolve_folder
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.models.preprocessing import normalise, to_floats
from gotr1_eval.models.vqa._bert_files import has_tokenizer, tokenizer_file
from gotr1_eval.models.vqa._blip_files import BlipTokenizer, load_folder, load_original, load_tokenizer
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
OFFICIAL_SIDE = 480
BERT_REPOSITORY = "google-bert/bert-base-uncased"
"""On the hub; its tokenizer is the one that BLIP extends."""


class Settings(StrictSettings):
    """Where the weights are, and how they are run.

    Attributes:
        model: the authors' ``model_base_vqa_capfilt_large.pth``, a folder in transformers' layout, or an id of the
            Hugging Face hub; None looks for the first in the folder of `gotr1-eval weights`.
        revision: of the hub's model: a branch, tag or commit.
        tokenizer: a folder with bert-base-uncased's ``tokenizer.json`` or ``vocab.txt``, or an id of the hub; None
            takes the one beside the weights, or else that of `BERT_REPOSITORY`.
        image_size: pixels a side of the pictures that the weights were made for; other than 480 it is named in the
            metric.
        image_heads: attention heads of the picture's tower, which the tensors of a ``.pth`` do not tell; 12 in ViT-B.
        text_heads: likewise of the text towers. Both are ignored for a folder, whose configuration says it.
        device: `auto` is the first GPU if there is one.
        dtype: of the weights.
        batch_size: pictures, and then questions, in one forward pass; halved for the call when memory runs out.
    """

    model: str | None = None
    revision: str = "main"
    tokenizer: str | None = None
    image_size: int = Field(OFFICIAL_SIDE, ge=1)
    image_heads: int = Field(12, ge=1)
    text_heads: int = Field(12, ge=1)
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(32, ge=1)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model in evaluation mode on its device, and its tokenizer."""

    model: Any
    tokenizer: BlipTokenizer


@dataclass(frozen=True, slots=True)
class _Asked:
    """A picture with the token ids of its distinct questions."""

    picture: Image.Image
    questions: tuple[tuple[int, ...], ...]


_Answers = dict[tuple[int, ...], float]


class BlipVqa(LocalModel[Loaded]):
    """A `YesNo` (see `gotr1_eval.core.perception`); the model is read when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
        self._settings = settings

    @property
    def name(self) -> str:
        """``blip-vqa``, with the pictures' size where it is not the official one."""
        side = self._settings.image_size
        return "blip-vqa" if side == OFFICIAL_SIDE else f"blip-vqa-{side}px"

    @cached_property
    def _path(self) -> Path:
        if self._settings.model is None:
            return require_file(official_file("blip-vqa"), "blip: the weights", None)
        path = Path(self._settings.model).expanduser()
        if path.suffix == ".pth" and not path.is_file():
            raise UsageError(f"no BLIP weights at {path}; expected model_base_vqa_capfilt_large.pth of BLIP's authors")
        return path if path.is_file() else resolve_folder(self._settings.model, self._settings.revision)

    @cached_property
    def _tokenizer(self) -> Path:
        beside = self._path.parent if self._path.is_file() else self._path
        if self._settings.tokenizer is None and has_tokenizer(beside):
            return tokenizer_file(beside)
        return tokenizer_file(resolve_folder(self._settings.tokenizer or BERT_REPOSITORY, "main", weights=False))

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights, the tokenizer, the size and the precision; reads the files. Raises what loading does."""
        settings, whole = self._settings, self._path.is_dir()
        digest = folder_digest(self._path) if whole else files_digest([self._path])
        return identifiers.fingerprint(
            {
                "yes_no": "blip", "version": VERSION, "weights": digest, "image_size": settings.image_size,
                "heads": None if whole else [settings.image_heads, settings.text_heads], "dtype": settings.dtype,
                "tokenizer": files_digest([self._tokenizer]),
            }
        )  # fmt: skip

    def _load(self) -> Loaded:
        settings, dtype = self._settings, self._dtype
        if self._path.is_dir():
            model = load_folder(self._path, dtype)
        else:
            heads = {"image_heads": settings.image_heads, "text_heads": settings.text_heads}
            model = load_original(self._path, dtype, **heads)
        side = model.config.vision_config.image_size
        if side != settings.image_size:
            raise UsageError(
                f"{self._path}: these weights are for pictures of {side} pixels, the official score uses "
                f"{OFFICIAL_SIDE}; give the authors' model_base_vqa_capfilt_large.pth, or set image_size = {side}, "
                f"and metrics are named blip-vqa-{side}px"
            )
        tokenizer = load_tokenizer(self._tokenizer, model.config.text_config.vocab_size)
        return Loaded(model.to(self._device).eval(), tokenizer)

    @property
    def _network(self) -> torch.nn.Module:
        network: torch.nn.Module = self.loaded.model
        return network

    def probability(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        """For each picture the probability of "yes" against "no", in [0, 1], of each of its questions.

        A picture without questions is not looked at; a question that comes twice is answered once.

        Raises:
            ValueError: an empty question, or not as many lists of questions as pictures.
            BackendError: memory does not suffice for a single picture, or the model's numbers are not finite.
        """
        if any(not question for each in questions for question in each):
            raise ValueError("an empty question cannot be asked; the official score counts it as 1 without an answer")
        ids = [[self.loaded.tokenizer.ids(question) for question in each] for each in questions]
        pairs = zip(images, ids, strict=True)
        asked = {
            place: _Asked(picture, tuple(dict.fromkeys(each))) for place, (picture, each) in enumerate(pairs) if each
        }
        answers = dict(zip(asked, self._in_batches(list(asked.values()), self._answer), strict=True))
        return [[answers[place][one] for one in each] for place, each in enumerate(ids)]

    def _answer(self, asked: Sequence[_Asked]) -> list[_Answers]:
        """The answers about each picture, by the questions' ids."""
        model = self.loaded.model
        pixels_N3SS = torch.stack([prepare(one.picture, self._settings.image_size) for one in asked])
        seen_NPE = model.vision_model(pixel_values=pixels_N3SS.to(self._device, model.dtype)).last_hidden_state
        by_length: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
        for place, one in enumerate(asked):
            for ids in one.questions:
                by_length.setdefault(len(ids), []).append((place, ids))
        answers: list[_Answers] = [{} for _ in asked]
        for pairs in by_length.values():
            chances = self._in_batches(pairs, lambda few: self._chances(seen_NPE, few))
            for (place, ids), chance in zip(pairs, chances, strict=True):
                answers[place][ids] = chance
        return answers

    def _chances(self, seen_NPE: torch.Tensor, pairs: Sequence[tuple[int, tuple[int, ...]]]) -> list[float]:
        """The probability of "yes" for each (place of the picture, ids of a question), all of equal length."""
        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        ids_BT = torch.tensor([ids for _, ids in pairs], device=self._device)
        seen_BPE = seen_NPE[[place for place, _ in pairs]]
        read_BTE = model.text_encoder(input_ids=ids_BT, encoder_hidden_states=seen_BPE).last_hidden_state
        start_B1 = torch.full((len(pairs), 1), tokenizer.start, device=self._device)
        logits_BV = model.text_decoder(input_ids=start_B1, encoder_hidden_states=read_BTE, use_cache=False).logits[:, 0]
        leaning_B = logits_BV[:, tokenizer.yes].double() - logits_BV[:, tokenizer.no].double()
        self._require_finite(leaning_B.isfinite().all(), "an answer")
        chances: list[float] = leaning_B.sigmoid().tolist()
        return chances


def prepare(picture: Image.Image, side: int) -> torch.Tensor:
    """float32 [3, side, side]: squashed to a square, bicubic by Pillow, in CLIP's units.

    Source: T2I-CompBench, ``BLIPvqa_eval/data/__init__.py``. There the alpha channel is dropped, here a picture with
    transparency is laid over white.
    """
    resized = to_rgb(picture).resize((side, side), Image.Resampling.BICUBIC)
    return normalise(to_floats(resized))


def build(settings: Settings, workshop: Workshop) -> BlipVqa:
    """The model; needs nothing from the workshop."""
    return BlipVqa(settings)
