"""The prompt as GoT-R1's models read it, whatever their family."""

from __future__ import annotations

INSTRUCTION = "Follow the caption to generate an image through a chain of thought process: "


def prompt_text(prompt: str) -> str:
    """The user's turn and the opened answer, letter for letter as the released GoT-R1 models were trained."""
    return f"User: {(INSTRUCTION + prompt).strip()}\n\nAssistant:"
