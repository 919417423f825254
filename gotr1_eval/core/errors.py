"""Every error the project raises on purpose.

    GotR1Error
    |-- UsageError      the command or the settings ask for something that cannot be (exit 2)
    |   |-- LabelError  a detector cannot look for a name; the picture's other names and other pictures are sound
    |   `-- MissingWeightsError  a model's weights are not on this machine, and may not or cannot be fetched
    |-- DataError       a file does not hold what it should; names file and line      (exit 2)
    |-- BackendError    a model or a server failed; the sample is not to blame        (exit 1)
    `-- RunError        the run itself cannot go on or is incomplete                  (exit 1)
        |-- BudgetError the allowance for a model is spent; what was done is saved    (exit 3)
        `-- StoppedError a training was told to stop, and saved                       (exit 4)

Ctrl-C is exit 130.

The command line prints one line for each of these and no traceback; anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gotr1_eval.core.secrets import redact


class GotR1Error(Exception):
    """The root: catch this to catch everything the project raises on purpose. No message holds a known secret."""

    exit_code = 1

    def __init__(self, *facts: object) -> None:
        super().__init__(*(redact(fact) if isinstance(fact, str) else fact for fact in facts))


class UsageError(GotR1Error):
    """What was asked for cannot be done; the message says what was expected, what came, and what to do."""

    exit_code = 2


class LabelError(UsageError):
    """A name that a detector cannot look for: without a word, or longer than it reads.

    Names come from generated chains as well as from users, so that callers may want to give up one picture only.
    """


class MissingWeightsError(UsageError):
    """A model's weights are not on this machine, and may not or cannot be fetched; the message says how to get them."""


class DataError(GotR1Error):
    """A file holds something else than expected.

    Args:
        message: what was expected and what came.
        path: the file at fault.
        line: its line, counted from 1, where there is one.
    """

    exit_code = 2

    def __init__(self, message: str, *, path: Path | str, line: int | None = None) -> None:
        self.path = Path(path)
        self.line = line
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: {message}")


class BackendError(GotR1Error):
    """A model or a server failed: no verdict on any sample follows from it."""


class RunError(GotR1Error):
    """A run folder cannot be used, or a run ended incomplete."""


class BudgetError(RunError):
    """The tokens or the money that a model may cost are spent; everything before is saved, and a resume goes on."""

    exit_code = 3


class StoppedError(RunError):
    """A training that was told to stop before its last step; it has saved, and the same command goes on."""

    exit_code = 4


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A file that is written inside: a full disk or a folder that cannot be written is a RunError that names it."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written: {error.strerror or one_line(error)}; what was written before is whole, and "
            "the same command goes on once it can"
        ) from None


def nearest_name(name: str, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean 'spatial'?``, or an empty string when nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def one_line(text: object, limit: int = 300) -> str:
    """The text on one line of at most `limit` characters, for messages that quote foreign input.

    Secrets are redacted before it is shortened, since half of one is no longer known as such; what a terminal would
    act on instead of showing it, and halves of characters, become U+FFFD, the replacement character.
    """
    flat = " ".join(redact(str(text)).split())
    flat = flat if flat.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in flat)
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
