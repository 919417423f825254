"""Open words: answers to a question that expects neither yes or no nor a count, such as a colour or a name.

A wrong answer must be an answer: one short noun phrase, or another word of the same closed group (colours, left and
right). What holds an expected word among others is never a wrong one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gotr1_eval.core.names import COLOURS, Match, match_names, word_set

_CLOSED_GROUPS = (COLOURS | {"gray"}, word_set("left right"), word_set("top bottom"), word_set("upper lower"))
"""Of each of these a thing has one; another of the group is a wrong answer in whatever sentence."""
_WORDS = r"[^\W\d_]+(?:[ '’-][^\W\d_]+){0,2}"
_PHRASE = re.compile(rf"(?:(?:an?|the|some) )?({_WORDS})", re.I)
_SENTENCE = re.compile(
    r"(?:(?:(?:it|this|that|he|she|they|(?:the|an?|its|his|her|their)(?: [\w-]{1,20}){1,4}?)"
    r"(?:'s| is| are| was| were) )?"
    r"(?:(?:to|on|at|in) the )?)?"
    rf"(?P<article>an? )?(?P<phrase>{_WORDS})",
    re.I,
)
_FIRST_SENTENCE = re.compile(r"[\s*_`\"'“‘(\[>•-]*([^.!?\n;:,()*_`\"”\]]*)", re.I)
_ORNAMENT = " \t\r\n*_`\"'“”‘’.!()[]"
_NO_ANSWER = word_set(
    "yes no not none nothing nobody nowhere any anything something someone unsure unknown unclear uncertain "
    "undetermined undefined indeterminate unidentifiable maybe perhaps possibly probably likely sorry cannot can't "
    "unable na nan null error invalid missing absent please provide upload visible invisible available unavailable "
    "apparent evident applicable refuse refused denied blocked failed loading a an the some image picture photo "
    "photograph question answer i i'm you we it it's he she they this that that's these those there there's here what "
    "which who whose where when how why is are was were be been being am isn't aren't do does did don't doesn't "
    "didn't has have had will would can could couldn't may might must should shall and or but if as because so than "
    "then of to in on at by for from with without into over under well okay ok sure certainly hello hi thanks thank "
    "note hmm wait actually based looking see seen look determine tell say one both neither either all"
)
"""With one of these words a phrase is no answer, and so no wrong one."""
_DOUBT = re.compile(
    r"\?|/|\b(?:or|and|not|no|neither|nor|maybe|perhaps|possibly|either|but|rather|instead|if|unless|could|might|would"
    r"|unsure|says?|reads?|written|example|wait|actually|hmm+|\w+n['’]t)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class OpenWords:
    """Answers to a question that expects other words.

    Attributes:
        expected: the right answers.
    """

    expected: frozenset[str]

    def whole(self, said: str) -> float | None:
        """The verdict of words that are the whole answer; None where they are no short noun phrase.

        A name is the expected one in any number, with any article ("Cats"), or with more adjectives ("dark red").
        """
        if said in self.expected:
            return 1.0
        phrase = _PHRASE.fullmatch(said)
        if phrase is None or not _NO_ANSWER.isdisjoint(re.split(r"[ -]", phrase[1].replace("’", "'"))):
            return None
        matches = {match_names(answer, _folded(phrase[1])) for answer in map(_folded, self.expected)}
        if Match.SAME_WORDS in matches or (Match.SAME_OBJECT in matches and self._mentioned(said)):
            return 1.0
        return 0.0 if matches == {Match.OTHER} and not self._resembles(phrase[1]) else None

    def leading(self, text: str) -> tuple[float, int] | None:
        """The verdict of a text that begins with its answer, and where that ends; None where it begins otherwise.

        The answer is the whole text, or a first sentence of the words alone; "It is red" and "To the left" count where
        the words have a closed group, and "It is a cat" by its article.
        """
        bare = text.strip(_ORNAMENT)
        if (verdict := self.whole(bare.lower())) is not None:
            return verdict, len(text)
        first = _FIRST_SENTENCE.match(text)
        sentence = _SENTENCE.fullmatch(first[1].strip()) if first else None
        if first is None or sentence is None or _DOUBT.search(text):
            return None
        phrase = sentence["phrase"].lower()
        alone = first[1].strip().lower() == (sentence["article"] or "").lower() + phrase
        stopped = text[first.end() : first.end() + 1] in (".", "!", "\n")
        if not self._in_closed_group(phrase) and not (stopped and alone) and not (sentence["article"] and not alone):
            return None
        return None if (verdict := self.whole(phrase)) is None else (verdict, first.end())

    def contradicts(self, text: str, verdict: float) -> bool:
        """Whether a text beside the verdict speaks of an expected answer, or of another word of its group."""
        words = {_folded(word) for word in re.findall(r"[^\W\d_]+", text.lower())}
        if verdict == 0 and self._resembles(text.lower()):
            return True
        return any(len(words & group - {"gray"}) > 1 for group in _CLOSED_GROUPS if self._of(group))

    def _of(self, group: frozenset[str]) -> bool:
        return any(_folded(answer).split()[-1:] and _folded(answer).split()[-1] in group for answer in self.expected)

    def _in_closed_group(self, phrase: str) -> bool:
        last = _folded(phrase).split()[-1]
        return any(last in group and self._of(group) for group in _CLOSED_GROUPS)

    def _resembles(self, text: str) -> bool:
        """Whether words of the text begin as an expected answer does, or with it: "reddish", "wood" for "wooden"."""
        words = re.findall(r"[^\W\d_]{3,}", text)
        return self._mentioned(text) or any(
            word.startswith(answer) or answer.startswith(word) for answer in self.expected if answer for word in words
        )

    def _mentioned(self, text: str) -> bool:
        return any(re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) for answer in self.expected if answer)


def _folded(word: str) -> str:
    """In the one spelling of a word that has two."""
    return re.sub(r"\bgray\b", "grey", word.lower())
