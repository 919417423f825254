"""Choices behind a server against the same model in this process."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gotr1_eval.core.protocols import Request
from gotr1_eval.models.vlms import qwen
from gotr1_eval.models.vlms.decoding import read_rows
from gotr1_eval.models.vlms.openai_compatible import ServedVlm, Settings
from gotr1_eval.models.vlms.stepwise import NEGLIGIBLE
from tests.faulty_server import faulty_server
from tests.tiny_vlms import save_tiny_qwen

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))


def test_a_served_model_scores_as_the_same_model_in_this_process(tmp_path: Path):
    """The server lists what the tiny model predicts; the adapter must find the model's own scores again."""
    local = qwen.QwenVlm(qwen.Settings(model=str(save_tiny_qwen(tmp_path))))
    options = (*(str(number) for number in range(11)), "100")
    request = Request(prompt="How well?", images=(PICTURE,), answer_prefix='{"score": ', choices=options)
    (exact,) = local.reply([request])

    def predicted(begun: str) -> dict[str, float]:
        with torch.inference_mode():
            asked = Request(prompt="?") if not begun else dataclasses.replace(request, answer_prefix=begun, choices=())
            row, pictures = local._read(asked)
            log_probs = read_rows(local.loaded.model, [row], pictures).log_probs_BV[0]
        return {local.loaded.tokenizer.decode([token]): float(p.exp()) for token, p in enumerate(log_probs)}

    with faulty_server(next_tokens=predicted) as server:
        (reply,) = ServedVlm(Settings(base_url=server.url, model="tiny", listed_tokens=400)).reply([request])
    # Choices of a probability below 0.0001 are bounded, not followed to their end.
    assert np.exp(reply.choice_log_probs) == pytest.approx(np.exp(exact.choice_log_probs), rel=1e-4, abs=2e-4)
    assert sum(score > NEGLIGIBLE for score in exact.choice_log_probs) > 8
