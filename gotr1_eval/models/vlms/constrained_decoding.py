"""Holding an answer to a form while it is decoded: before each token, those that cannot go on with it are ruled out.

The grammar is llguidance's, compiled once for a tokenizer and a form; every answer walks through a copy of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import llguidance
import llguidance.hf
import llguidance.numpy
import numpy as np
import torch

from gotr1_eval.core.errors import BackendError, UsageError, one_line
from gotr1_eval.core.forms import longest_answer, marks_form
from gotr1_eval.core.types import Json

_LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""As Python writes JSON, and nothing else: where blanks are free, an answer may consist of them for ever."""
_SIMPLE_FORM, _SIMPLE_ANSWER = marks_form(["score"], range(11)), '{"score": 10}'


class Walk:
    """One answer on its way through a form.

    Attributes:
        most_tokens: of the longest answer; every answer ends by itself, also where the model never wants to.
    """

    def __init__(self, matcher: Any, vocabulary: int, most_tokens: int) -> None:  # noqa: ANN401
        self._matcher = matcher
        self._bits = llguidance.numpy.allocate_token_bitmask(1, vocabulary)
        self.most_tokens = most_tokens

    @property
    def complete(self) -> bool:
        """Nothing can follow any more."""
        return bool(self._matcher.is_stopped())

    def allowed(self, width: int) -> torch.Tensor:
        """bool [width]: which tokens may come next, of all that the model predicts; it may predict more than exist."""
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._bits)
        known = np.unpackbits(self._bits.view(np.uint8), count=min(width, self._bits.size * 32), bitorder="little")
        allowed = np.zeros(width, bool)
        allowed[: known.size] = known
        return torch.from_numpy(allowed)

    def take(self, token: int, log_prob: float = 0.0) -> None:
        """Go on with a token of the given log-probability.

        Raises:
            BackendError: the model predicts no numbers, or nothing that the form allows.
        """
        if not math.isfinite(log_prob) or not self._matcher.consume_token(token):
            raise BackendError("the model's predictions are not finite where its answer is held to a form")


def _some_special(tokenizer: Any) -> int | None:  # noqa: ANN401
    """A token that no text contains: which one is no matter, since an answer ends where its form does, without it."""
    special = [place for place, token in tokenizer.added_tokens_decoder.items() if token.special]
    return next(iter(special), None)


class FormCompiler:
    """The forms that were asked for so far, as grammars over one tokenizer.

    Attributes:
        fault: why answers of this tokenizer cannot be held to any form; empty where they can.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - transformers is untyped
        self._matchers: dict[str, tuple[Any, int]] = {}
        self.fault = ""
        try:
            self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, eos_token=_some_special(tokenizer))
        except (ValueError, AttributeError) as error:
            self.fault = f"llguidance cannot read the tokenizer: {one_line(error, 120)}"
            return
        walk = self.begin(_SIMPLE_FORM)
        for token in tokenizer(_SIMPLE_ANSWER, add_special_tokens=False)["input_ids"]:
            if not walk.allowed(token + 1)[token]:
                self.fault = f"the tokenizer cannot write {_SIMPLE_ANSWER}"
                return
            walk.take(token)

    def begin(self, form: Mapping[str, Json]) -> Walk:
        """A new answer in the form.

        Raises:
            UsageError: the form goes beyond what the grammar supports, or no answer can be held to any.
        """
        if self.fault:
            raise UsageError(self.fault)
        written = json.dumps(form)
        if written not in self._matchers:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(written, overrides=_LAYOUT)
            matcher = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0)
            if matcher.is_error():
                raise UsageError(f"an answer cannot be held to this form: {one_line(matcher.get_error(), 160)}")
            try:
                self._matchers[written] = (matcher, longest_answer(form))
            except KeyError as missing:
                raise UsageError(
                    f"an answer cannot be held to this form, which has no end: {missing} is missing"
                ) from None
        matcher, longest = self._matchers[written]
        return Walk(matcher.deep_copy(), self._tokenizer.vocab_size, longest)
