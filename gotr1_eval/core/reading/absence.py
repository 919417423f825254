"""Whether an answer says that what was asked for is not in the picture."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gotr1_eval.core.names import Match, match_names, name_words, take_apart, word_set
from gotr1_eval.core.reading.box_names import is_asked, is_no_object
from gotr1_eval.core.reading.box_values import says_absent

MOST_CHARACTERS = 300
"""A sentence that only says that something is not there is no longer."""

_NOUN = r"(?P<{}>\w[\w'’-]*(?:\s+\w[\w'’-]*){{0,5}}?)"
_IMAGE = r"(?:image|picture|photo|photograph|scene)"
_PLACE = rf"(?:in|within|from)\s+(?:the|this)\s+(?:given\s+|provided\s+)?{_IMAGE}"
_SEEN = rf"(?:(?:visible|present|found|detected|shown)(?:\s+{_PLACE})?|{_PLACE})"
_NOT = r"(?:\s+not|n['’]t)"
_NOT_THERE = re.compile(
    rf"(?:there\s+(?:is|are|was|were)\s+no|no)\s+{_NOUN.format('none')}\s+(?:(?:is|are|was|were)\s+)?{_SEEN}"
    rf"|(?:the\s+|an?\s+)?{_NOUN.format('missing')}\s+(?:is|are|was|were){_NOT}\s+{_SEEN}"
    rf"|(?:the\s+)?{_IMAGE}\s+(?:does|do){_NOT}\s+(?:contain|show|have|include)\s+(?:an?\s+|any\s+)?{_NOUN.format('lacking')}",
    re.I,
)
_NAMED_NOT_THERE = re.compile(
    rf"(?:there(?:\s+is|\s+are|['’]s)\s+no|there\s+(?:is|are){_NOT}\s+(?:an?|any)|(?:i|we)\s+(?:can\s+)?(?:see|find|found|detect)\s+no"
    rf"|(?:i|we)\s+(?:can|could|do|did)(?:\s*not|n['’]t|['’]t)\s+(?:see|find|detect|locate)\s+(?:an?|any|the))\s+"
    rf"{_NOUN.format('none')}(?:\s+{_PLACE})?",
    re.I,
)
"""Said of the very name that was asked for, these words are enough."""
_OTHER_NEGATION = re.compile(
    r"\b(?:way|doubt|images?\s+(?:is|are|was|were)|answer|information|idea|clear\w*|certain\w*|sure|but)\b", re.I
)
_OF_A_PART = re.compile(
    r"['’]s?(?=\s)|\b(?:only|just|whole|entire|complete|full|half|part|parts|piece|rest|of|other|others|another|second"
    r"|third|more|further|additional|same|all|both|every|each|single|\w+ly)\b",
    re.I,
)
"""Words by which a sentence denies a part of the thing, or one more of it."""
_PICTURES = word_set("image picture photo photograph file attachment screenshot upload input link media document")
"""What cannot be judged where it is not there."""
_MORE = r"(?!\s++(?:(?:any|an|the|of)\s++)*+(?:other|others|more|further|additional|another)\b)"
_DENIAL = re.compile(
    rf"\b(?:there(?:\s++is|\s++are|['’]s)|(?:i\s++)?(?:see|saw|find|found|detect|detected))\s++no\b{_MORE}"
    rf"|\b(?:(?:could|can|did|do|does)(?:\s++not|n['’]t)|can['’]t|cannot|unable\s++to|failed\s++to|not\s++able\s++to)\s++"
    rf"(?:\w{{1,20}}ly\s++)?(?:find|see|locate|detect|identify|spot|recogni[sz]e|contain|show|appear|exist)\b{_MORE}"
    rf"|\b(?:is|are|was|were)(?:\s++not|n['’]t)\s++(?:\w{{1,20}}ly\s++)?"
    rf"(?:visible|present|there|found|detected|shown|any|an?\b|in\s++(?:the|this))\b{_MORE}"
    r"|\bno\s++(?!other|more|further|additional|doubt|text)(?:\w[\w'’-]*+\s++){1,4}?(?:(?:is|are|was|were)\s++)?"
    r"(?:visible|present|found|detected|shown)\b"
    r"|\bnot\s++found\b|\b(?:is|are)\s++(?:absent|missing)\b|\bnone\s++of\b",
    re.I,
)
"""Words that deny the asked object beside a box, and do not only say that there are no others."""


def denies(prose: str) -> bool:
    """Whether the words around a box say that what was asked for is not there, so that the box is of something else."""
    return _DENIAL.search(prose) is not None


def is_not_there(answer: str, names: Sequence[str] = ()) -> bool:
    """Whether the whole answer says that the thing is not in the picture: a word or two, or one plain sentence.

    A sentence about a part of it ("the dog's tail"), about one more ("no other dog"), or about the picture itself says
    no such thing.

    Args:
        answer: the answer.
        names: the names that were asked for, where they are known; the sentence must be about them all.
    """
    if len(answer) > MOST_CHARACTERS:
        return False
    words = " ".join(re.sub(r"```\w*|[*_`]", " ", answer).split()).strip(" .!\"'")
    if says_absent(words):
        return True
    if _OTHER_NEGATION.search(words):
        return False
    for pattern in (_NOT_THERE, *((_NAMED_NOT_THERE,) if names else ())):
        if found := pattern.fullmatch(words):
            noun = next(noun for noun in found.groupdict().values() if noun)
            return all(_is_all_of_it(noun, asked) for asked in names or (None,))
    return False


def _is_all_of_it(noun: str, asked: str | None) -> bool:
    """Whether none of a noun is none of what was asked for: "dog" for "brown dog", and not the reverse."""
    if not _PICTURES.isdisjoint(name_words(noun)[-1:]):
        return False
    if asked is None:
        return _OF_A_PART.search(noun) is None
    if match_names(asked, noun) is Match.SAME_WORDS:
        return True
    if _OF_A_PART.search(noun):
        return False
    if is_no_object(noun):
        return take_apart(noun).attributes <= take_apart(asked).attributes
    return is_asked(asked, noun) and set(name_words(noun)) <= set(name_words(asked))
