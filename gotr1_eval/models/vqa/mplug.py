"""mPLUG-large VQA (arXiv 2205.12005): answers questions about pictures in words, by its own beam search.

Asked as ModelScope's pipeline asks it: the picture squashed to a square, the question lower-cased and cut to 25 tokens.
What the pipeline computes anew for every question, beam and step is computed once here: a picture's tokens for all of
its questions, and the decoder's keys and values of picture and question for all beams and steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, TypeVar

import torch
from PIL import Image
from pydantic import Field

from gotr1_eval.core import identifiers
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.files.official_files import how_to_get, official_file, require_file
from gotr1_eval.models.checkpoint import files_digest
from gotr1_eval.models.local_model import LocalModel
from gotr1_eval.models.preprocessing import normalise, to_floats
from gotr1_eval.models.vqa._bert_files import tokenizer_file
from gotr1_eval.models.vqa._mplug_beams import BEAMS, START, Hypothesis, search
from gotr1_eval.models.vqa._mplug_files import (
    CONFIG,
    MOST_TOKENS,
    WEIGHTS,
    MplugTokenizer,
    load_folder,
    load_tokenizer,
)
from gotr1_eval.models.vqa._mplug_network import AnswerState, MplugNetwork
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1
OFFICIAL_KEY = "mplug-vqa"
Result = TypeVar("Result")


class Settings(StrictSettings):
    """Where the weights are, and how they are run.

    Attributes:
        model: ModelScope's folder; None looks for it in the folder of `gotr1-eval weights`.
        decoding: `beam` is the official search over five beams; `greedy` takes the likeliest token at every step,
            answers otherwise now and then, and is named in the metric.
        device: `auto` is the first GPU if there is one.
        dtype: of the weights; the official pipeline runs in float32.
        batch_size: pictures, and then questions about one picture, in one forward pass; halved when memory runs out.
    """

    model: Path | None = None
    decoding: Literal["beam", "greedy"] = "beam"
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(16, ge=1)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The network in evaluation mode on its device, its tokenizer, and the ids of "yes" and "no"."""

    network: MplugNetwork
    tokenizer: MplugTokenizer
    yes: int
    no: int


class MplugVqa(LocalModel[Loaded]):
    """A `YesNo` that also answers in words (see `gotr1_eval.core.perception`); read when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError when there is no such device."""
        super().__init__(device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size)
        self._settings = settings

    @property
    def name(self) -> str:
        """``mplug-large``, with the decoding and precision where they are not the official ones."""
        settings = self._settings
        decoding = "" if settings.decoding == "beam" else f"-{settings.decoding}"
        return f"mplug-large{decoding}{'' if settings.dtype == 'float32' else f'-{settings.dtype}'}"

    @cached_property
    def _folder(self) -> Path:
        if self._settings.model is None:
            return require_file(official_file(OFFICIAL_KEY), "mplug: the weights", None).parent
        folder = self._settings.model.expanduser()
        if not folder.is_dir():
            raise UsageError(
                f"no mPLUG folder at {folder}; expected ModelScope's, with {WEIGHTS} and {CONFIG}: "
                f"{how_to_get(official_file(OFFICIAL_KEY))}"
            )
        return folder

    @cached_property
    def fingerprint(self) -> str:
        """Of the files, the decoding and the precision; reads the files. Raises what loading does."""
        names = [self._folder / name for name in (WEIGHTS, CONFIG)]
        if missing := [path.name for path in names if not path.is_file()]:
            raise UsageError(f"no {missing[0]} in {self._folder}; expected ModelScope's folder, whole")
        digest = files_digest([*names, tokenizer_file(self._folder)])
        settings = self._settings
        return identifiers.fingerprint(
            {
                "yes_no": "mplug", "version": VERSION, "files": digest, "decoding": settings.decoding,
                "dtype": settings.dtype,
            }
        )  # fmt: skip

    def _load(self) -> Loaded:
        network = load_folder(self._folder)
        tokenizer = load_tokenizer(self._folder, network.sizes.vocabulary)
        yes, no = (tokenizer.ids(word)[1] for word in ("yes", "no"))
        return Loaded(network.to(self._device, self._dtype), tokenizer, yes, no)

    @property
    def _network(self) -> torch.nn.Module:
        return self.loaded.network

    def answer(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[str]]:
        """For each picture the answer to each of its questions, in lower-case words.

        Raises:
            BackendError: memory does not suffice for a single picture, or the model's numbers are not finite.
        """
        found = self.hypotheses(images, questions)
        return [[self.loaded.tokenizer.text(best.ids) for best, *_ in each] for each in found]

    def hypotheses(
        self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]
    ) -> list[list[list[Hypothesis]]]:
        """For each picture and question all that the search found, the best first; raises what `answer` does."""
        beams = BEAMS if self._settings.decoding == "beam" else 1
        return self._ask(images, questions, partial(self._search, beams=beams))

    def probability(self, images: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[float]]:
        """For each picture the probability of "yes" against "no" as the first word, in [0, 1], of each question.

        Raises:
            BackendError: as `answer`.
        """
        return self._ask(images, questions, self._chances)

    def _search(self, state: AnswerState, questions: int, beams: int) -> list[list[Hypothesis]]:
        found = search(state, questions, self._device, beams)
        self._require_finite(all(one.score == one.score for each in found for one in each), "an answer")
        return found

    def _chances(self, state: AnswerState, questions: int) -> list[float]:
        logits_QV = state.advance(torch.full((questions,), START, device=self._device))
        leaning_Q = logits_QV[:, self.loaded.yes].double() - logits_QV[:, self.loaded.no].double()
        self._require_finite(leaning_Q.isfinite().all(), "an answer")
        chances: list[float] = leaning_Q.sigmoid().tolist()
        return chances

    def _ask(
        self,
        images: Sequence[Image.Image],
        questions: Sequence[Sequence[str]],
        decode: Callable[[AnswerState, int], list[Result]],
    ) -> list[list[Result]]:
        """What is decoded for each question; a picture without any is not looked at, one asked twice is asked once."""
        pairs = zip(images, questions, strict=True)
        asked = {place: (image, list(dict.fromkeys(each))) for place, (image, each) in enumerate(pairs) if each}
        found = iter(self._in_batches(list(asked.values()), partial(self._about, decode=decode)))
        answers = {place: dict(zip(each, next(found), strict=True)) for place, (_, each) in asked.items()}
        return [[answers[place][question] for question in each] for place, each in enumerate(questions)]

    def _about(
        self,
        asked: Sequence[tuple[Image.Image, list[str]]],
        decode: Callable[[AnswerState, int], list[Result]],
    ) -> list[list[Result]]:
        """The pictures are seen together, the questions about each fused and decoded together."""
        network = self.loaded.network
        pixels_P3SS = torch.stack([prepare(image, network.sizes.side) for image, _ in asked])
        seen_PNE = network.see(pixels_P3SS.to(self._device, self._dtype))
        return [
            self._in_batches(questions, partial(self._decoded, seen_1NE, decode=decode))
            for seen_1NE, (_, questions) in zip(torch.split(seen_PNE, 1), asked, strict=True)
        ]

    def _decoded(
        self, seen_1NE: torch.Tensor, questions: Sequence[str], decode: Callable[[AnswerState, int], list[Result]]
    ) -> list[Result]:
        network, tokenizer = self.loaded.network, self.loaded.tokenizer
        ids_QT, hidden_QT = (one.to(self._device) for one in padded([tokenizer.ids(text) for text in questions]))
        picture_RNE, text_QTE = network.fuse(seen_1NE, network.read(ids_QT, hidden_QT), hidden_QT)
        return decode(network.answer(picture_RNE, text_QTE, hidden_QT), len(questions))


def prepare(picture: Image.Image, side: int) -> torch.Tensor:
    """float32 [3, side, side]: squashed to a square, bicubic by Pillow, in CLIP's units.

    As modelscope's ``preprocessors/multi_modal.py`` does: a picture of another mode is converted to RGB first, and what
    a judge opens is RGB already, with white behind transparency.
    """
    return normalise(to_floats(picture.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)))


def padded(rows: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids, int64, and where they are padding, bool; each [Q, `MOST_TOKENS`]."""
    ids = [[*row, *[0] * (MOST_TOKENS - len(row))] for row in rows]
    return torch.tensor(ids), torch.tensor([[place >= len(row) for place in range(MOST_TOKENS)] for row in rows])


def build(settings: Settings, workshop: Workshop) -> MplugVqa:
    """The model; needs nothing from the workshop."""
    return MplugVqa(settings)
