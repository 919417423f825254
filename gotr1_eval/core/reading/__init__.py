"""Reading the answers of language-vision models.

Whatever cannot be read with certainty raises `UnreadableReply`; no number is ever made up. The rules:

1. The last declared form wins: models think aloud and then answer. Text inside ``<think>`` is never an answer.
2. A form is JSON, fenced or not, or a Python literal (`literals` lists the liberties it takes), else one of the few
   shapes of prose that `prose` lists. Any other number in prose is no answer.
3. The question's own example is no declaration: placeholders such as ``{"score": n}``, or what "for example" announces.
4. One object that gives two values, a value off the scale, on another scale (``4/5``, ``85%``), a range, a boolean or
   NaN, and a declaration that is revised afterwards are unreadable; none of them falls back on an earlier form.
5. A value in an object that was cut off counts when a delimiter follows it. Digits at the very end of a text that broke
   off count only when the model is known to have stopped by itself (`finish == "stop"`): 8 may have been 8.5. An answer
   cut off at the token limit (`finish == "length"`) declares nothing in prose.
6. Boxes are read all or none: one faulty box, or a list that was cut off, makes the answer unreadable.
"""

from gotr1_eval.core.reading.boxes import BoxOrder, read_boxes
from gotr1_eval.core.reading.reply import UnreadableReply
from gotr1_eval.core.reading.scores import read_score, read_score_list, read_scores

READER_VERSION = 1
"""Counted up whenever an answer would be read differently; part of every judge's fingerprint."""

__all__ = [
    "READER_VERSION",
    "BoxOrder",
    "UnreadableReply",
    "read_boxes",
    "read_score",
    "read_score_list",
    "read_scores",
]
