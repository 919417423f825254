"""Reading the answers of language-vision models.

Whatever cannot be read with certainty raises `UnreadableReply`; no number is ever made up. The rules:

1. **Whose words.** The answer begins behind the last thought (``<think>``, ``[THINK]``, ``<|channel|>analysis`` and
   their kin, the opening mark may be missing) and ends at the first mark of another speaker or of the end
   (``<|im_end|>``, ``</s>``, ``User:``, ``### Instruction``). A thought that was never closed, and a reply cut off at
   the token limit, are no answers.
2. **The form.** A JSON object or Python literal under the asked key, fenced or not, is the answer (`literals` lists the
   liberties it takes; `score` may also be called `rating`). Only where there is none, the few shapes of prose count
   that `prose` lists. Any other number in prose is no answer.
3. **The words around it** decide whether it is meant (`context`): a lead such as "my score is:" or none at all. What a
   text, sign or person says, an example, a supposition, a denial, a placeholder (``{"score": n}``), a quotation and
   sample code are passed over. Where it is said anywhere, also in a text of the object, that no picture could be seen
   or that no answer is given, there is none (`reply.declines`).
4. **One value.** Prose behind an object never changes it. A second, different declaration makes the answer unreadable
   unless the words before it announce a correction ("on reflection:"); so does prose that takes the value back
   ("Wait, that is too generous", "Final: 6" on a later line, a field ``revised_score``), beginning right behind the
   number. So do two values in one object, a range, a boolean, NaN and a value off the scale.
5. **The scale.** Another scale than the one asked for, at the value or stated anywhere (``4/5``, ``"max": 5``, "on a
   scale of 1 to 5", ``85%``), makes it unreadable; a box whose order or frame is said to be another likewise.
6. **All or none.** Several named scores, and all boxes of an answer, are read together or not at all. A value at the
   very end of an open bracket counts only when the model is known to have stopped by itself: 8 may have been 8.5.
"""

from gotr1_eval.core.reading.box_values import BoxOrder
from gotr1_eval.core.reading.boxes import read_boxes
from gotr1_eval.core.reading.reply import UnreadableReply
from gotr1_eval.core.reading.scores import read_score, read_score_list, read_scores

READER_VERSION = 4
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
