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


def _blanks(pattern: str) -> str:
    """The pattern with every blank as a blank or a line end."""
    return pattern.replace(" ", r"[ \n]")


_BODY = r"(?:(?:-| )hand)?"
_PHRASES: tuple[tuple[Relation, str], ...] = (
    (Relation.LEFT_OF, rf"(?:(?:to|on|at|in) the (?:far |upper |lower )?)?left{_BODY}(?: side)? of"),
    (Relation.RIGHT_OF, rf"(?:(?:to|on|at|in) the (?:far |upper |lower )?)?right{_BODY}(?: side)? of"),
    (Relation.ABOVE, r"(?:on|at) (?:the )?top of|atop|above|over"),
    (Relation.BELOW, r"(?:on|at) (?:the )?bottom of|below|beneath|underneath|under"),
    (Relation.NEAR, r"next to|near(?: to)?|beside|adjacent to|close to|(?:on|by|at) (?:the )?side of"),
)
_DETERMINER = (
    r"(?:an?|the|one|two|three|four|five|six|seven|eight|nine|ten|another|some|several|his|her|its|their|my|your)"
)
_OWNER = rf"(?:its|his|her|their|whose|{_DETERMINER} (?:[\w-]{{1,40}} ){{0,3}}?[\w-]{{1,40}}'s?)"
_VERB = (
    r"(?:is|are|was|were|stands?|stood|sits?|sat|lies|lie|lay|sleeps?|slept|rests?|hangs?|hung|floats?|flies|appears?"
    r"|grows?|waits?|walks?|runs?|plays?|perches|leans?|rises|can be seen)"
)
_ADDRESS = r"(?:we|you|one)(?: can| could)? sees?|we find|(?:put|place|draw|paint|show|add|imagine|see)"
_PICTURE = r"(?:picture|image|photo|photograph|frame|scene|canvas)\b"
# A side alone, and not a part of a body ("on the left arm") or "the left of" something.
_AFTER_SIDE = rf"(?= ?(?:$|[.,;:!?()]|(?:and|or|but|while|with|in|at|there|{_VERB}|{_DETERMINER}|{_ADDRESS})\b))"
_TO_PICTURE = rf"(?: of (?:the|this) {_PICTURE})"
_SIDE = (
    rf"(?:to|on|at|in) the (?:far |very )?(?P<side>left|right|top|bottom){_BODY}(?: side| half| edge| part)?"
    rf"(?:{_TO_PICTURE}|{_AFTER_SIDE})"
)
_OWNED = (
    rf"(?:to|on|at) (?P<owner>{_OWNER}) (?:far |immediate )?(?P<owned>left|right){_BODY}(?: side)?(?! of\b)"
    + _AFTER_SIDE
)
_RELATION = re.compile(
    r"(?<![\w-])(?:"
    + "|".join([_blanks(_SIDE), _blanks(_OWNED), *(f"(?P<{of.name}>{_blanks(words)})" for of, words in _PHRASES)])
    + r")(?![\w-])",
    re.I,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_SENTENCE_END = re.compile(r"[;!?]+|\.+(?=\W|$)")
_CLAUSE = re.compile(
    _blanks(rf"[:\n]|,? (?:and|while|where|with|but) (?={_DETERMINER}\b)|, ?(?=(?:{_DETERMINER}|there)\b)"), re.I
)
_NOUN_PHRASE = re.compile(rf"\b{_DETERMINER}\b", re.I)

# Nothing is claimed where one of these stands with a relation.
_DOUBT = re.compile(
    r"\b(?:not|never|no|none|nor|neither|nothing|nobody|without|nowhere|hardly|barely|scarcely|cannot|\w+n't"
    r"|dont|doesnt|isnt|arent|wasnt|or|either|whether|if|unless|except|instead|rather than|other than|anything but"
    r"|between|among|amid|avoid\w*|lacks?|lacking|missing|absent|opposite|swap\w*|far from|fails?|false|wrong"
    r"|forbidden|prohibited)\b",
    re.I,
)
_DENIED_SENTENCE = re.compile(
    r"\W*(?:please )?(?:do not|don't|dont|never|avoid|neither|nothing|nobody|it is (?:not|un\w+|false|wrong)|it isn't"
    r"|there (?:is|are) (?:no|not|nothing|neither)|there (?:isn't|aren't))\b",
    re.I,
)
_QUESTION = re.compile(
    r"\W*(?:is|are|was|were|does|do|did|has|have|what|which|who|whose|where|why|how|should|can|could|would|will)\b",
    re.I,
)
_LARGE = (
    r"(?:\W?[0-9]|(?:an? |half an? |one |two |three |four |five |six |seven |eight |nine |ten )?"
    r"(?:hundred|thousand|million|billion|dozen|couple|half)s?\b|(?:eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty"
    r"|ninety)\b|\w+ (?:years?|months?|weeks?|days?|hours?|minutes?|percent|feet|foot|inches|meters|metres|dollars"
    r"|times|degrees)\b)"
)
_ABSTRACT = (
    r"(?:construction|attack|pressure|control|influence|repair|renovation|maintenance|supervision|arrest|fire|siege"
    r"|surveillance|investigation|development|review|consideration|way|circumstances|conditions|guidance|cover|disguise"
    r"|stress|threat|age|par|average|zero|freezing|suspicion|all|ground|sea level|time|night|years|water|budget"
    r"|the (?:weather|years|course of|influence|impression|guise|care|command|direction|name|title|age|age of|limit"
    r"|phone|internet|radio|weekend|past|next)"
    r"|future|past|death|miss|distance|perfection|perfect|midnight|noon|dusk|dawn|completion|home"
    r"|the (?:future|end|viewer|camera|lens)|nothing|none|impossible"
    r"|and over|there|here|again|that|this|these|those|everything|things|the world|it all|me|you|us)"
)
_NO_OBJECT = re.compile(_blanks(rf" ?(?:{_LARGE}|{_ABSTRACT}\b)"), re.I)
_NO_RELATION_BEFORE = re.compile(
    r"\b(?:all|game|left|knock\w*|tip\w*|trip\w*|flip\w*|turn\w*|roll\w*|fell|fall\w*|took|taken?|takes|handed|hands|came"
    r"|pull\w*|and|think\w*|do|start\w*)\s\Z",
    re.I,
)
_LEFTOVER = re.compile(
    r"\b(?:what(?:'s| is| was)|little(?: is| was)?|nothing|much|all(?: that)?(?: is| was)|is)\s\Z", re.I
)
_NOT_A_PLACE = re.compile(r"[ \n](?:way|passage|cent(?:er|re)|reply|return)\b", re.I)
_IDIOMATIC = ("over", "under", "above", "below", "near", "near to", "close to", "next to", "on top of", "beneath")

_PRONOUN = re.compile(
    _blanks(
        r" ?(?:it|them|him|itself|themselves|himself|herself|(?:her|his|theirs)(?= ?(?:$|[.,;:!?()]"
        r"|(?:and|is|are)\b)))\b"
    ),
    re.I,
)
_RECIPROCAL = re.compile(_blanks(r" ?(?:each other|one another)\b"), re.I)
_RELATIVE = re.compile(_blanks(r" ?(?:which|whom)\b,?"), re.I)
_LEADING_VERB = re.compile(_blanks(rf"(?:,| )*(?:there )?(?:{_VERB} |{_ADDRESS} )?"), re.I)
_INVERSION = re.compile(
    _blanks(rf",? (?:there(?:'s)? )?(?:(?:{_VERB}|{_ADDRESS}) )(?={_DETERMINER}\b)|,? there's (?={_DETERMINER}\b)"),
    re.I,
)
_COMMA = re.compile(_blanks(rf", ?(?:there (?:is|are) )?(?={_DETERMINER}\b)"), re.I)
_LEAD_IN = re.compile(
    _blanks(
        rf"\W*(?:(?:{_DETERMINER} )?(?:photo|photograph|picture|image|scene|drawing|painting|view)"
        r"(?: of| where| in which| showing| featuring|:)\W+)?"
        r"(?:(?:and|but|with|then|also|now|directly|just|slightly|immediately|far)\W+)*"
    ),
    re.I,
)
_PLACE = re.compile(_blanks(r"\W*(?:in|on|at|inside|within|outside|during|by) [^,]*,\W*"), re.I)
_OPEN_END = re.compile(_blanks(r"(?:,|,? (?:and|but|with|where|while)(?: also| then)?)\s*\Z"), re.I)
_JOINED = re.compile(_blanks(r",? (?:and|but)(?: (?:also|is|are|it is|they are))*\s*\Z"), re.I)
_OWN_VERB = re.compile(_blanks(rf" {_VERB}\s*\Z"), re.I)
_RELATIVE_VERB = re.compile(_blanks(rf" (?:that|which|who) {_VERB}\s*\Z"), re.I)
_BARE_JOIN = re.compile(r"\W*(?:and|but)?\W*(?:also\W*)?")
_BOTH_SIDES = re.compile(_blanks(r"\b(?:left|right|above|below|over|under)(?: side)? (?:and|or)\s*\Z"), re.I)
_STRAY_ENDS = re.compile(_blanks(r"(?:\W|\b(?:and|but|while|with)\b)*"), re.I)


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
    text = _normalised(prompt)
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
    return "?" in text or any(pattern.search(text) is not None for pattern in (_DOUBT, _DENIED_SENTENCE))


def _normalised(prompt: str) -> str:
    """One blank or one line end for any run of white space, and straight apostrophes."""
    text = re.sub(r"[^\S\n]+", " ", prompt.replace("’", "'").replace("\r", "\n"))
    return re.sub(r" ?\n[ \n]*", "\n", text)


def _sentences(text: str) -> Iterator[_Sentence]:
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield _Sentence(text[start : end.start()], start, "?" in end.group())
        start = end.end()
    yield _Sentence(text[start:], start, question=False)


def _read_sentence(sentence: _Sentence, before: str, text: str) -> Iterator[RelationClaim | str]:
    """The claims of a sentence, and as text what cannot be read of it.

    Args:
        before: the sentence before, where a pronoun may find its noun.
        text: the whole prompt.
    """
    matches = [match for match in _RELATION.finditer(sentence.text) if not _is_idiom(sentence.text, match)]
    sides = [match for match in matches if match["side"]]
    relations = [match for match in matches if not match["side"]]
    doubtful = sentence.question or _DENIED_SENTENCE.match(sentence.text) or _QUESTION.match(sentence.text)
    if doubtful:
        yield from (_around(sentence.text, match) for match in relations)
        return
    yield from _opposite_sides(sentence.text, sides, relations[0].start() if relations else len(sentence.text))
    subject: str | None = None
    for index, match in enumerate(relations):
        since = relations[index - 1].end() if index else 0
        until = relations[index + 1].start() if index + 1 < len(relations) else len(sentence.text)
        left, right = sentence.text[since : match.start()], sentence.text[match.end() : until]
        if not _WORD.search(right.replace(" and", "")) and index + 1 < len(relations):
            # "above and to the left of a dog": the object comes behind the next relation.
            right = _following_object(sentence.text, relations, index + 1)
        parts = _read_one(match, left, right, before if not index else None, subject)
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
        return _NOT_A_PLACE.match(sentence, match.end()) is not None or (
            phrase == "left of" and _LEFTOVER.search(before) is not None and not before.rstrip().endswith(" is")
        )
    if phrase not in _IDIOMATIC:
        return False
    if _NO_OBJECT.match(sentence, match.end()):
        return True
    return phrase == "over" and _NO_RELATION_BEFORE.search(before) is not None


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
    if mark := _RELATIVE.match(right):
        return _relative(left, right[mark.end() :])
    if mark := _RECIPROCAL.match(right):
        return _reciprocal(left) if _relation(match) is Relation.NEAR else None
    if mark := _PRONOUN.match(right):
        return _pronoun(left, right[mark.end() :], before)
    return _plain(left, right, first=before is not None, last=last)


def _plain(left: str, right: str, *, first: bool, last: str | None) -> Sides | None:
    """The two sides of a relation whose object is named behind it."""
    if not _WORD.search(right) or right.lstrip().startswith(","):
        return None
    if first and (_LEAD_IN.fullmatch(left + " ") or _PLACE.fullmatch(left)):
        return _inverted(left, right, comma=True)
    open_end = _OPEN_END.search(left)
    if _INVERSION.search(_first_clause(right)):
        # "a park where to the left of the dog sits a cat"; behind a subject such words may mean anything.
        return _inverted("", right, comma=False) if open_end else None
    further = _COMMA.search(right) or _second_noun(right)
    if not first and len(_CLAUSE.split(left)) == 1 and not _RELATIVE_VERB.search(left):
        # "a cat left of a dog and above a horse": the cat is above. Without a word between, either may be.
        joined = _JOINED.search(left) or _OWN_VERB.search(left) or _BARE_JOIN.fullmatch(left)
        certain = joined and last and not (open_end and further) and not _DOUBT.search(left)
        return _certain(last, _first_piece(right), behind=True) if certain else None
    # "a cat, to the left of a dog, a bird", "a cat and to the left of a dog a bird": whose place is it?
    if open_end and (further or not first or open_end.group().strip() != ","):
        return None
    return _certain(_last_piece(left), _first_piece(right), behind=True)


def _inverted(left: str, right: str, *, comma: bool) -> Sides | None:
    """The two sides of a relation that comes before both: "to the left of the dog sits a cat"."""
    mark = _INVERSION.search(_first_clause(right)) or (_COMMA.search(right) if comma else None) or _second_noun(right)
    if mark is None or _DOUBT.search(left):
        return None
    return _certain(_first_piece(right[mark.end() :]), right[: mark.start()], behind=False)


def _first_clause(text: str) -> str:
    """Up to the first comma before a noun phrase, or line end."""
    mark = re.search(_blanks(rf"\n|, ?(?={_DETERMINER}\b)"), text, re.I)
    return text[: mark.start()] if mark else text


_NO_NOUN_BEFORE = re.compile(
    r"\b(?:of|in|on|at|by|for|with|and|or|from|to|near|behind|that|which|who|has|have|as|\w+ing|is|are)\s\Z", re.I
)


def _second_noun(text: str) -> re.Match[str] | None:
    """Where the second of exactly two noun phrases begins that no preposition or participle joins: "the dog a cat"."""
    nouns = list(_NOUN_PHRASE.finditer(text[:200]))
    if len(nouns) != 2 or text[: nouns[0].start()].strip() or _NO_NOUN_BEFORE.search(text[: nouns[1].start()]):
        return None
    return re.compile(r"").search(text, nouns[1].start())


def _owned(left: str, right: str, owner: str, *, first: bool) -> Sides | None:
    """ "A cat to the dog's left", or "to the dog's left sits a cat"."""
    if _LEAD_IN.fullmatch(left + " ") or (first and _PLACE.fullmatch(left)) or _OPEN_END.search(left):
        return _certain(_subject_behind(right), owner, behind=False)
    return _certain(_last_piece(left), owner, behind=False)


def _relative(left: str, right: str) -> Sides | None:
    """ "A vase to the right of which stands a cup": the cup is on the right."""
    return _certain(_subject_behind(right), _last_piece(left), behind=False)


def _subject_behind(right: str) -> str:
    mark = _LEADING_VERB.match(right)
    return _first_piece(right[mark.end() if mark else 0 :])


def _reciprocal(left: str) -> Sides | None:
    """ "A cat and a dog next to each other"; "two dogs next to each other"."""
    one = _last_piece(left)
    other = left.removesuffix(one)
    if not _WORD.search(other):
        first, _, second = one.partition(" and ")
        return _certain(second or one, first, behind=False)
    return _certain(one, other, behind=False)


def _pronoun(left: str, right: str, before: str | None) -> Sides | None:
    """ "A chair with an umbrella on top of it"; "a chair, and on top of it an umbrella": what "it" is must be plain."""
    pieces = re.split(_blanks(r" (?:has|have|having) "), left, maxsplit=1, flags=re.I)
    if len(pieces) == 2 and _WORD.search(pieces[1]):
        return _certain(pieces[1], pieces[0], behind=False) if _nouns(pieces[0]) == 1 == _nouns(pieces[1]) else None
    if _OPEN_END.search(left) or _LEAD_IN.fullmatch(left + " "):
        owner = left if _nouns(left) else before or ""
        return _certain(_subject_behind(right), owner, behind=False) if _nouns(owner) == 1 else None
    subject = _last_piece(left)
    other = left.removesuffix(subject)
    if re.search(r"\bwith\s*\Z", other) and (nouns := list(_NOUN_PHRASE.finditer(other))):
        # "a dog on a bed with a pillow on top of it": the pillow belongs to the noun that "with" follows.
        other = other[nouns[-1].start() :]
    elif before is None:
        return None
    elif not _nouns(other):
        other = before
    return _certain(subject, other, behind=False) if _nouns(other) == 1 else None


def _nouns(text: str) -> int:
    """Noun phrases in a text: its determiners; one where there are words and none."""
    words = re.sub(_blanks(r"\b(?:there (?:is|are)|and|with|but|while|where)\b"), " ", text, flags=re.I)
    return (len(_NOUN_PHRASE.findall(words)) or 1) if _WORD.search(words) else 0


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
    if relation is None or _DOUBT.search(before + between + after[:60]) or not _WORD.search(between):
        return
    names_first = _WORD.search(before) and not _OPEN_END.search(before) and not _LEAD_IN.fullmatch(before + " ")
    closed = re.match(_blanks(r" ?(?:$|[.,;:!?()]|(?:and|while|with|in|at)\b)"), after, re.I)
    if names_first and closed and not _OPEN_END.search(between):
        subject, other = _last_piece(before), _last_piece(between)
    elif not names_first and _WORD.search(after) and not re.match(r"\s*(?:and|while)\b", between, re.I):
        subject, other = _subject_behind(between), _subject_behind(after)
    else:
        return
    if _stripped(subject) and _stripped(other):
        yield RelationClaim(_stripped(subject), relation, _stripped(other), f"{one.group()} ... {two.group()}", "")


def _stripped(text: str) -> str:
    """Without the marks and joining words at both ends."""
    start = _STRAY_ENDS.match(text)
    text = text[start.end() if start else 0 :]
    return re.sub(_blanks(r"(?:\W|\b(?:and|but|while|with|is|are))*\Z"), "", text[-REST:], flags=re.I)


def _certain(subject: str | None, other: str, *, behind: bool) -> Sides | None:
    """The sides themselves, unless one names nothing or holds a word that leaves open what is stated."""
    if not subject or not _WORD.search(subject) or not _WORD.search(other):
        return None
    if _DOUBT.search(subject) or _DOUBT.search(other) or _BOTH_SIDES.search(subject):
        return None
    return subject, other, behind


def _last_piece(text: str) -> str:
    piece = next((piece for piece in reversed(_CLAUSE.split(text)) if _WORD.search(piece)), text)
    first, comma, last = piece.rpartition(",")
    if comma and _WORD.search(last) and _WORD.search(first) and not _NOUN_PHRASE.search(piece):
        # "cat, dog left of bird", but not "small, brown dog".
        return piece if _WORD.findall(first.lower())[-1] in ADJECTIVES else last
    return piece


def _first_piece(text: str) -> str:
    return next((piece for piece in _CLAUSE.split(text) if _WORD.search(piece)), text)
