"""Reading spatial relations out of a prompt.

No parser and no model: relation phrases are looked up, and the words around each are cut into its two sides. This
suffices for the templated prompts of T2I-CompBench, GenEval and VISOR and for most captions. Which of several nouns a
preposition hangs on is settled by the first mention on each side.

A relation is read where one reading is left, and else is named as unread: where a negation, an alternative, a question
or "between" stands with it, where its subject cannot be told, or where a pronoun may mean several things. Words that
only look like relations ("over 60 years old", "under construction") are none. Right and left are the viewer's, also in
"on its left".

Time and memory are linear in the length of the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gotr1_eval.core import relation_words as words
from gotr1_eval.core.geometry import Relation
from gotr1_eval.core.names import ADJECTIVES

REST = 400
"""Characters behind a relation in which a distant object may be named."""


@dataclass(frozen=True, slots=True)
class RelationClaim:
    """A relation that a prompt states.

    Attributes:
        subject: words that name what stands in the relation.
        other: words that name what it stands in relation to.
        phrase: the relation's own words.
        rest: the text after the relation, at most `REST` characters, where a distant object may be named; empty where
            `other` does not stand behind the relation.
    """

    subject: str
    relation: Relation
    other: str
    phrase: str
    rest: str


@dataclass(frozen=True, slots=True)
class Relations:
    """What a prompt says about places in the plane of the picture.

    Attributes:
        claims: the relations that can be read with certainty, in order.
        unread: the words around each of the others.
    """

    claims: tuple[RelationClaim, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence at [start, end) of the normalised prompt."""

    text: str
    start: int
    question: bool


def read_relations(prompt: str) -> list[RelationClaim]:
    """Every spatial relation that the prompt states and that can be read, in order.

    Args:
        prompt: the text prompt, any length.

    Returns:
        The claims; empty when the prompt states no relation in the plane of the picture
        ("in front of" and "behind" are depth relations and are not read).
    """
    return list(parse_relations(prompt).claims)


def parse_relations(prompt: str) -> Relations:
    """What `read_relations` gives, and what could not be read."""
    text = _normalised(_without_quotations(prompt))
    claims: list[RelationClaim] = []
    unread: list[str] = []
    before = ""
    for sentence in _sentences(text):
        for result in _read_sentence(sentence, before, text):
            if isinstance(result, str):
                unread.append(result)
            else:
                claims.append(result)
        before = sentence.text
    return Relations(tuple(claims), tuple(unread))


def holds_doubt(text: str) -> bool:
    """Whether a negation, an alternative, a question or "between" stands in the text, so that it may state nothing."""
    return "?" in text or any(pattern.search(text) is not None for pattern in (words.DOUBT, words.DENIED_SENTENCE))


def _without_quotations(prompt: str) -> str:
    """The prompt without what is painted in the picture: quoted words that would be read as the prompt's own.

    A quoted name stays, and so does a prompt that stands in quotation marks as a whole.
    """
    whole = words.QUOTED.fullmatch(prompt.strip())
    if whole is not None:
        return whole.group()[1:-1]
    return words.QUOTED.sub(lambda quoted: '""' if _states_something(quoted.group()) else quoted.group(), prompt)


def _states_something(quoted: str) -> bool:
    patterns = (words.RELATION, words.DOUBT, words.SENTENCE_END, words.CLAUSE)
    return any(pattern.search(quoted) for pattern in patterns)


def _normalised(prompt: str) -> str:
    """One blank or one line end for any run of white space, and straight apostrophes."""
    text = re.sub(r"[^\S\n]+", " ", prompt.replace("’", "'").replace("\r", "\n"))
    return re.sub(r" ?\n[ \n]*", "\n", text)


def _sentences(text: str) -> Iterator[_Sentence]:
    start = 0
    for end in words.SENTENCE_END.finditer(text):
        yield _Sentence(text[start : end.start()], start, "?" in end.group())
        start = end.end()
    yield _Sentence(text[start:], start, question=False)


def _read_sentence(sentence: _Sentence, before: str, text: str) -> Iterator[RelationClaim | str]:
    """The claims of a sentence, and as text what cannot be read of it.

    Args:
        before: the sentence before, where a pronoun may find its noun.
        text: the whole prompt.
    """
    found = words.RELATION.finditer(sentence.text)
    matches = [match for match in found if not (_is_idiom(sentence.text, match) or _is_place(sentence.text, match))]
    sides = [match for match in matches if match["side"]]
    relations = [match for match in matches if not match["side"]]
    doubtful = sentence.question or words.DENIED_SENTENCE.match(sentence.text) or words.QUESTION.match(sentence.text)
    if doubtful:
        yield from (_around(sentence.text, match) for match in relations)
        return
    yield from _opposite_sides(sentence.text, sides, relations[0].start() if relations else len(sentence.text))
    subject: str | None = None
    for index, match in enumerate(relations):
        since = relations[index - 1].end() if index else 0
        until = relations[index + 1].start() if index + 1 < len(relations) else len(sentence.text)
        left, right = sentence.text[since : match.start()], sentence.text[match.end() : until]
        if not words.WORD.search(right.replace(" and", "")) and index + 1 < len(relations):
            # "above and to the left of a dog": the object comes behind the next relation.
            right = _following_object(sentence.text, relations, index + 1)
        open_words = _is_open(match, left, right)
        parts = None if open_words else _read_one(match, left, right, before if not index else None, subject)
        subject = parts[0] if parts else None
        if parts is None:
            yield _around(sentence.text, match)
            continue
        behind = sentence.start + match.end()
        rest = text[behind : behind + REST] if parts[2] else ""
        yield RelationClaim(parts[0].strip(" ,\n"), _relation(match), parts[1].strip(" ,\n"), match.group(), rest)


def _following_object(sentence: str, relations: list[re.Match[str]], index: int) -> str:
    until = relations[index + 1].start() if index + 1 < len(relations) else len(sentence)
    return sentence[relations[index].end() : until]


def _relation(match: re.Match[str]) -> Relation:
    if match["owned"]:
        return Relation.LEFT_OF if match["owned"].lower() == "left" else Relation.RIGHT_OF
    return Relation[match.lastgroup or ""]


def _around(sentence: str, match: re.Match[str]) -> str:
    return " ".join(sentence[max(0, match.start() - 30) : match.end() + 30].split())


def _is_idiom(sentence: str, match: re.Match[str]) -> bool:
    """Whether the words are no relation between two things: "over 60 years", "under construction", "right of way"."""
    phrase = " ".join(match.group().lower().split())
    before = sentence[max(0, match.start() - 16) : match.start()]
    if phrase in ("left of", "right of"):
        return words.NOT_A_PLACE.match(sentence, match.end()) is not None or (
            phrase == "left of" and words.LEFTOVER.search(before) is not None and not before.rstrip().endswith(" is")
        )
    if phrase not in words.IDIOMATIC:
        return False
    if words.NO_OBJECT.match(sentence, match.end()):
        return True
    return phrase == "over" and words.NO_RELATION_BEFORE.search(before) is not None


def _is_place(sentence: str, match: re.Match[str]) -> bool:
    """Whether the words only say where in the picture something is: "left of the picture", "near the center"."""
    if match["side"] or match["owned"]:
        return False
    whole = words.SIDE_OF.search(match.group()) and words.WHOLE_PICTURE.match(sentence, match.end())
    return bool(whole or words.PART.match(sentence, match.end()))


def _is_open(match: re.Match[str], left: str, right: str) -> bool:
    """Whether the words are a diagonal ("the upper left of"), a title, or leave open whether they name a thing."""
    diagonal = words.COMPOUND.search(match.group()) or words.DIAGONALLY.search(left)
    return bool(
        diagonal
        or _is_title(match.group(), left, right)
        or words.WHOLE_PICTURE.match(right)
        or (words.PART_OF_THING.match(right) and _relation(match) is not Relation.NEAR)
    )


def _is_title(phrase: str, left: str, right: str) -> bool:
    """Whether the words stand in a title or an inscription without quotation marks: "a book called Under the Dome"."""
    if not phrase[0].isupper() or words.MID_LINE.search(left) is None:
        return False
    return not phrase.isupper() or words.CAPITALS.match(right) is not None


Sides = tuple[str, str, bool]
"""Subject, other, and whether the other stands behind the relation, where a rest follows."""


def _read_one(match: re.Match[str], left: str, right: str, before: str | None, last: str | None) -> Sides | None:
    """The two sides of a relation; None where they cannot be told.

    Args:
        left: the words since the relation before, or since the sentence began.
        right: the words until the next one, or until the sentence ends.
        before: the sentence before; None where another relation of this sentence came first.
        last: the subject of that relation, where it was read.
    """
    owner = (match["owner"] or "").lower()
    if owner in ("its", "his", "her", "their"):
        return _pronoun(left, right, before)
    if owner:
        owned = _owned(left, right, match["owner"].rstrip("s").rstrip("'"), first=before is not None)
        return _relative(left, right) if owner == "whose" else owned
    if mark := words.RELATIVE.match(right):
        return _relative(left, right[mark.end() :])
    if mark := words.RECIPROCAL.match(right):
        return _reciprocal(left) if _relation(match) is Relation.NEAR else None
    if mark := words.PRONOUN.match(right):
        return _pronoun(left, right[mark.end() :], before)
    return _plain(left, right, first=before is not None, last=last)


def _plain(left: str, right: str, *, first: bool, last: str | None) -> Sides | None:
    """The two sides of a relation whose object is named behind it."""
    if not words.WORD.search(right) or words.WITHOUT_OBJECT.match(right):
        return None
    begins = first and (words.LEAD_IN.fullmatch(left + " ") or words.PLACE.fullmatch(left))
    if begins or words.COLON_END.search(left):
        return _inverted(left if begins else "", right, comma=True)
    open_end = words.OPEN_END.search(left)
    if words.INVERSION.search(_first_clause(right)):
        # "a park where to the left of the dog sits a cat"; behind a subject such words may mean anything.
        return _inverted("", right, comma=False) if open_end else None
    further = words.COMMA.search(right) or _second_noun(right)
    if not first and len(words.CLAUSE.split(left)) == 1 and not words.RELATIVE_VERB.search(left):
        # "a cat left of a dog and above a horse": the cat is above. Without a word between, either may be.
        joined = words.JOINED.search(left) or words.OWN_VERB.search(left) or words.BARE_JOIN.fullmatch(left)
        certain = joined and last and not (open_end and further) and not words.DOUBT.search(left)
        return _certain(last, _first_piece(right), behind=True) if certain else None
    # "a cat, to the left of a dog, a bird", "a cat and to the left of a dog a bird": whose place is it?
    if open_end and (further or not first or open_end.group().strip() != ","):
        return None
    return _certain(_nearest(left), _first_piece(right), behind=True)


def _inverted(left: str, right: str, *, comma: bool) -> Sides | None:
    """The two sides of a relation that comes before both: "to the left of the dog sits a cat"."""
    mark = (
        words.INVERSION.search(_first_clause(right))
        or (words.COMMA.search(right) if comma else None)
        or _second_noun(right)
    )
    if mark is None or words.DOUBT.search(left):
        return None
    return _certain(_first_piece(right[mark.end() :]), right[: mark.start()], behind=False)


def _first_clause(text: str) -> str:
    """Up to the first comma before a noun phrase, or line end."""
    mark = words.NEXT_CLAUSE.search(text)
    return text[: mark.start()] if mark else text


def _second_noun(text: str) -> re.Match[str] | None:
    """Where the second of exactly two noun phrases begins that no preposition or participle joins: "the dog a cat"."""
    nouns = list(words.NOUN_PHRASE.finditer(text[:200]))
    if len(nouns) != 2 or text[: nouns[0].start()].strip() or words.NO_NOUN_BEFORE.search(text[: nouns[1].start()]):
        return None
    return re.compile(r"").search(text, nouns[1].start())


def _owned(left: str, right: str, owner: str, *, first: bool) -> Sides | None:
    """ "A cat to the dog's left", or "to the dog's left sits a cat"."""
    if words.LEAD_IN.fullmatch(left + " ") or (first and words.PLACE.fullmatch(left)) or words.OPEN_END.search(left):
        return _certain(_subject_behind(right), owner, behind=False)
    return _certain(_nearest(left), owner, behind=False)


def _relative(left: str, right: str) -> Sides | None:
    """ "A vase to the right of which stands a cup": the cup is on the right."""
    return _certain(_subject_behind(right), _nearest(left) or "", behind=False)


def _subject_behind(right: str) -> str:
    mark = words.LEADING_VERB.match(right)
    return _first_piece(right[mark.end() if mark else 0 :])


def _reciprocal(left: str) -> Sides | None:
    """ "A cat and a dog next to each other"; "two dogs next to each other"."""
    one = _last_piece(left)
    other = left.removesuffix(one)
    if not words.WORD.search(other):
        first, _, second = one.partition(" and ")
        return _certain(second or one, first, behind=False)
    return _certain(one, other, behind=False)


def _pronoun(left: str, right: str, before: str | None) -> Sides | None:
    """ "A chair with an umbrella on top of it"; "a chair, and on top of it an umbrella": what "it" is must be plain."""
    pieces = words.HAS.split(left, maxsplit=1)
    if len(pieces) == 2 and words.WORD.search(pieces[1]):
        return _certain(pieces[1], pieces[0], behind=False) if _nouns(pieces[0]) == 1 == _nouns(pieces[1]) else None
    if words.OPEN_END.search(left) or words.LEAD_IN.fullmatch(left + " "):
        owner = left if _nouns(left) else before or ""
        return _certain(_subject_behind(right), owner, behind=False) if _nouns(owner) == 1 else None
    subject = _last_piece(left)
    other = left.removesuffix(subject)
    if re.search(r"\bwith\s*\Z", other) and (nouns := list(words.NOUN_PHRASE.finditer(other))):
        # "a dog on a bed with a pillow on top of it": the pillow belongs to the noun that "with" follows.
        other = other[nouns[-1].start() :]
    elif before is None:
        return None
    elif not _nouns(other):
        other = before
    return _certain(subject, other, behind=False) if _nouns(other) == 1 else None


def _nouns(text: str) -> int:
    """Noun phrases in a text: its determiners; one where there are words and none."""
    bare = words.FILLERS.sub(" ", text)
    return (len(words.NOUN_PHRASE.findall(bare)) or 1) if words.WORD.search(bare) else 0


def _opposite_sides(sentence: str, sides: list[re.Match[str]], until: int) -> Iterator[RelationClaim]:
    """The claim of "a cat on the left and a dog on the right", before the sentence's first relation."""
    if len(sides) != 2 or sides[1].end() > until:
        return
    directions = {
        ("left", "right"): Relation.LEFT_OF,
        ("right", "left"): Relation.RIGHT_OF,
        ("top", "bottom"): Relation.ABOVE,
        ("bottom", "top"): Relation.BELOW,
    }
    one, two = sides
    relation = directions.get((one["side"].lower(), two["side"].lower()))
    before, between, after = sentence[: one.start()], sentence[one.end() : two.start()], sentence[two.end() : until]
    if relation is None or words.DOUBT.search(before + between + after[:60]) or not words.WORD.search(between):
        return
    names_first = (
        words.WORD.search(before) and not words.OPEN_END.search(before) and not words.LEAD_IN.fullmatch(before + " ")
    )
    closed = words.CLOSED.match(after)
    if names_first and closed and not words.OPEN_END.search(between):
        subject, other = _nearest(before) or "", _nearest(between) or ""
    elif not names_first and words.WORD.search(after) and not re.match(r"\s*(?:and|while)\b", between, re.I):
        subject, other = _subject_behind(between), _subject_behind(after)
    else:
        return
    if _stripped(subject) and _stripped(other):
        yield RelationClaim(_stripped(subject), relation, _stripped(other), f"{one.group()} ... {two.group()}", "")


def _stripped(text: str) -> str:
    """Without the marks and joining words at both ends."""
    start = words.STRAY_ENDS.match(text)
    text = text[start.end() if start else 0 :]
    return words.STRAY_END.sub("", text[-REST:])


def _certain(subject: str | None, other: str, *, behind: bool) -> Sides | None:
    """The sides themselves, unless one names nothing or holds a word that leaves open what is stated."""
    if not subject or not words.WORD.search(subject) or not words.WORD.search(words.NOUN_PHRASE.sub("", other)):
        return None
    if words.DOUBT.search(subject) or words.DOUBT.search(other) or words.BOTH_SIDES.search(subject):
        return None
    return subject, other, behind


def _last_piece(text: str) -> str:
    piece = next((piece for piece in reversed(words.CLAUSE.split(text)) if words.WORD.search(piece)), text)
    first, comma, last = piece.rpartition(",")
    if comma and words.WORD.search(last) and words.WORD.search(first) and not words.NOUN_PHRASE.search(piece):
        # "cat, dog left of bird", but not "small, brown dog".
        return piece if words.WORD.findall(first.lower())[-1] in ADJECTIVES else last
    return piece


def _nearest(text: str) -> str | None:
    """The noun phrase at the end of a text; None where "with" joins it to another one.

    "A man with a hat left of a woman" may speak of the man or of the hat; "a picture with a hat left of a mug" of the
    hat alone.
    """
    piece = _last_piece(text)
    owner, joined, _ = text[: text.rfind(piece)].rpartition("with")
    if not joined or words.WITH_END.search(text[: text.rfind(piece)]) is None:
        return piece
    owner = _last_piece(owner)
    return piece if not words.WORD.search(owner) or words.SCENERY.fullmatch(owner) else None


def _first_piece(text: str) -> str:
    return next((piece for piece in words.CLAUSE.split(text) if words.WORD.search(piece)), text)
