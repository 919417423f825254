"""A model that answers questions about pictures, asked as a language-vision model is.

So a checklist can be put to the judge that its benchmark was published with: one that answers in words by itself
(`Answering`), or one that gives the probability of yes, whose answer is then the likelier of the two words.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.perception import Answering, YesNo
from gotr1_eval.core.protocols import Request


class AnswererVlm:
    """See `gotr1_eval.core.protocols.Vlm`; the questions about one picture object are asked together."""

    scores_choices = False

    def __init__(self, model: YesNo) -> None:
        self._model = model
        self.name = model.name

    @property
    def fingerprint(self) -> str:
        """The model's."""
        return self._model.fingerprint

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """Raises UsageError: it answers questions, and with no boxes."""
        raise UsageError(f"{self.name} answers questions about pictures, and knows no boxes")

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """An answer a request; of a request only the prompt and its one picture are looked at."""
        places: dict[int, list[int]] = {}
        for place, request in enumerate(requests):
            places.setdefault(id(request.images[0]), []).append(place)
        pictures = [requests[group[0]].images[0] for group in places.values()]
        questions = [[requests[place].prompt for place in group] for group in places.values()]
        answers = self._answers(pictures, questions)
        found = {
            place: text
            for group, texts in zip(places.values(), answers, strict=True)
            for place, text in zip(group, texts, strict=True)
        }
        return [Reply(text=found[place], model=self.name) for place in range(len(requests))]

    def _answers(self, pictures: Sequence[Image.Image], questions: Sequence[Sequence[str]]) -> list[list[str]]:
        if isinstance(self._model, Answering):
            return self._model.answer(pictures, questions)
        chances = self._model.probability(pictures, questions)
        return [["yes" if chance > 0.5 else "no" for chance in each] for each in chances]
