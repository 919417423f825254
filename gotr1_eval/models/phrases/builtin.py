"""Noun phrases by rule, without any dependency, model or training data; made for the benchmark's templated prompts.

Nouns are what is left: a word is a noun unless a list, its ending, or its neighbours say otherwise. This suits captions
that name things ("a wooden desk and a metallic fork"), and is a guess for free prose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.names import ADJECTIVES
from gotr1_eval.core.perception import Parse, Token
from gotr1_eval.core.protocols import Workshop
from gotr1_eval.settings import Settings as StrictSettings

VERSION = 1


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words("a an the this that these those each every some any no another both all either neither")
POSSESSIVES = _words("my your his her its our their")
PRONOUNS = _words(
    "i you he she it we they me him us them himself herself itself themselves who whom which what someone everyone"
)
NUMBERS = _words("one two three four five six seven eight nine ten eleven twelve dozen hundred thousand")
CONJUNCTIONS = _words("and or but nor")
SUBORDINATORS = _words("while as when where because if although though than until since so whether")
PREPOSITIONS = _words(
    "of in on at by for with from to into onto over under above below behind beside besides between among against "
    "through across along around near next off out up down about before after during inside outside within "
    "without toward towards past beneath underneath amid atop upon like beyond alongside"
)
AUXILIARIES = _words(
    "is are was were be been being am has have had do does did can could will would shall should may might must"
)
NAMEABLE_AUXILIARIES = _words("can will")
"""Auxiliaries that are things as well: a soda can."""
ADVERBS = _words(
    "not very too also just only almost together apart away back forward well perfectly brightly there here then "
    "now still again outdoors indoors nearby side-by-side"
)
VERBS = _words(
    "lay lies lie sat sits sit stood stands stand hung hangs hang ran runs run flew flies fly swam swims swim ate "
    "eats eat drank drinks drink shone shines shine grew grows grow fell falls fall held holds hold wore wears "
    "wear rose rises lit lights cast casts sang sings sing slept sleeps sleep made makes make went goes go came "
    "comes come took takes take gave gives give spread spreads set sets met meets meet blew blows blow drove "
    "drives drive spun spins spin swung swings swing kept keeps keep left led leads lead bore bears wove weave "
    "stuck sticks clung clings sprang strode rode rides ride wrote writes write threw throws throw caught catches "
    "catch cut cuts cut put puts put sank sinks swept sweeps crept creeps told tells tell brought brings bring "
    "felt feels feel drew draws draw play plays read reads hid hidden hides hold hang serve rest display mix fill "
    "complement support contain create reflect decorate surround match contrast"
)
ADJECTIVE_ENDINGS = ("ful", "ous", "less", "ical", "shaped", "colored", "coloured")
SHAPES_AND_MATERIALS = _words(
    "orange gold silver diamond square teardrop oval circular leather fabric glass plastic rubber cotton wool "
    "silk velvet light cold cool square round open violet navy rose"
)
"""Adjectives that are nouns where nothing they could belong to follows."""


_WORD = re.compile(r"n't\b|'(?:s|re|ve|ll|d|m)\b|\w+?(?=n't\b)|\w+|\S|(?<=\s)\s+")
_OPENERS = ("DET", "NUM")
_INSIDE = ("ADJ", "NOUN", "PROPN", "NUM")
_ENDS = ("CCONJ", "PUNCT", "")


def split_words(prompt: str) -> list[str]:
    """The words and signs of a prompt; hyphens, commas, a possessive 's and surplus blanks stand alone."""
    return _WORD.findall(prompt)


def parse_prompt(prompt: str) -> Parse:
    """The parse of a prompt."""
    words = split_words(prompt)
    tags = _settle(words, [_first_guess(word) for word in words])
    tokens = tuple(Token(word, tag) for word, tag in zip(words, tags, strict=True))
    return Parse(tokens, tuple(_chunks(prompt, tokens)))


_LISTS = (
    (DETERMINERS, "DET"),
    (POSSESSIVES, "PRON"),
    (PRONOUNS, "PRON"),
    (NUMBERS, "NUM"),
    (CONJUNCTIONS, "CCONJ"),
    (SUBORDINATORS, "SCONJ"),
    (PREPOSITIONS, "ADP"),
    (AUXILIARIES, "AUX"),
    (ADVERBS, "ADV"),
    (ADJECTIVES, "ADJ"),
    (VERBS, "VERB"),
)


def _first_guess(word: str) -> str:
    """What the word alone says; "?" for what may be a verb or part of a name, "NOUN" for the rest."""
    lower = word.lower()
    listed = next((tag for words, tag in _LISTS if lower in words), None)
    if listed is not None:
        return listed
    if not lower[0].isalpha() or lower == "n't":
        return _sign(lower)
    if lower.endswith("ly") and not lower.endswith("fly") and len(lower) > 4:
        return "ADV"
    if lower.endswith(("ing", "ed")) and len(lower) > 4:
        return "?"
    return "ADJ" if lower.endswith(ADJECTIVE_ENDINGS) else "NOUN"


def _sign(text: str) -> str:
    """What does not begin with a letter, or is the end of a shortened word."""
    if text.isspace():
        return "SPACE"
    if text.isdigit():
        return "NUM"
    return "PART" if "'" in text and len(text) > 1 else "PUNCT"


def _settle(words: Sequence[str], tags: list[str]) -> list[str]:
    """Decide by the neighbours, from left to right."""
    for place, tag in enumerate(tags):
        before = tags[place - 1] if place else ""
        after = tags[place + 1] if place + 1 < len(tags) else ""
        named = _has_noun(tags, place)
        word = words[place].lower()
        nameable = tag == "VERB" or word in NAMEABLE_AUXILIARIES
        ends = after in _ENDS or (tag == "AUX" and after == "ADP")
        if tag in ("VERB", "AUX") and nameable and ends and before in _INSIDE and _is_named(tags, place):
            tags[place] = "NOUN"
        elif tag in ("?", "VERB"):
            tags[place] = _verb_or_part(word, tag, before, after, named=named)
        elif tag == "ADJ" and word in SHAPES_AND_MATERIALS and before and after not in (*_INSIDE, "?"):
            joined = after in ("CCONJ", "PUNCT") and place + 2 < len(tags) and tags[place + 2] in ("ADJ", "NOUN")
            tags[place] = "ADJ" if before == "AUX" or (joined and before != "ADJ") else "NOUN"
        elif tag == "ADP" and word == "to" and after in ("VERB",):
            tags[place] = "PART"
    return tags


def _is_named(tags: Sequence[str], place: int) -> bool:
    """Whether the words before belong to one name with an article: "a cylindrical soda can"."""
    start = place
    while start > 0 and tags[start - 1] in _INSIDE:
        start -= 1
    return start > 0 and tags[start - 1] == "DET"


def _has_noun(tags: Sequence[str], place: int) -> bool:
    """Whether the name that reaches up to this place has its noun already."""
    return place > 0 and tags[place - 1] in ("NOUN", "PROPN", "PRON")


def _verb_or_part(word: str, tag: str, before: str, after: str, *, named: bool) -> str:
    """A verb, or a word inside a name: "a smiling man", "a bowling ball", "a painting"."""
    if before == "AUX" or (before == "PART" and tag == "VERB") or (before == "ADV" and after not in _INSIDE):
        return "VERB"
    if named:
        return "NOUN" if word.endswith("ing") and after in ("NOUN", "ADP", "AUX", "") and tag == "?" else "VERB"
    if before in ("DET", "ADJ", "NUM", "PRON", "PART") and tag == "?":
        return "ADJ" if after in _INSIDE and word.endswith("ed") else "NOUN" if word.endswith("ing") else "ADJ"
    if before in ("DET", "ADJ", "NUM"):
        return "NOUN"
    return "ADJ" if tag == "?" and word.endswith("ed") and after == "NOUN" else "VERB"


def _chunks(prompt: str, tokens: Sequence[Token]) -> list[str]:
    """The noun chunks as they stand in the prompt: from a determiner or the first describing word up to the noun."""
    starts = _offsets(prompt, [token.text for token in tokens])
    chunks, place = [], 0
    while place < len(tokens):
        end = _chunk_end(tokens, place)
        if end > place:
            chunks.append(prompt[starts[place] : starts[end - 1] + len(tokens[end - 1].text)])
        place = max(end, place + 1)
    return chunks


def _offsets(prompt: str, words: Sequence[str]) -> list[int]:
    starts, at = [], 0
    for word in words:
        at = prompt.index(word, at)
        starts.append(at)
        at += len(word)
    return starts


def _chunk_end(tokens: Sequence[Token], start: int) -> int:
    """One past the last noun of the chunk that begins here; `start` itself where none does."""
    if tokens[start].pos == "PRON" and tokens[start].text.lower() not in POSSESSIVES:
        return start + 1
    place, end = start, start
    if tokens[place].pos in _OPENERS or tokens[place].pos == "PRON":
        place += 1
    while place < len(tokens) and _belongs(tokens, place, named=end > start, ended=end == place):
        if tokens[place].pos in ("NOUN", "PROPN"):
            end = place + 1
        place += 1
    return end


def _belongs(tokens: Sequence[Token], place: int, *, named: bool, ended: bool) -> bool:
    """Whether a word goes on with a chunk that has its noun (`named`), perhaps as the last word (`ended`)."""
    token = tokens[place]
    if token.pos in ("NOUN", "PROPN", "ADJ"):
        return True
    if ended and token.text in ("'s", "-"):
        return True
    if token.pos in ("CCONJ", "PUNCT", "ADV"):
        return not named and _describes_on(tokens, place)
    return token.pos == "NUM" and not named


def _describes_on(tokens: Sequence[Token], place: int) -> bool:
    """Whether a joint between two describing words: "black and white cat", "smooth, white columns", "very old car"."""
    if place == 0 or place + 1 >= len(tokens) or tokens[place + 1].pos not in ("ADJ", "NOUN", "CCONJ"):
        return False
    before, here, after = tokens[place - 1].pos, tokens[place], tokens[place + 1].pos
    if here.pos == "ADV":
        return before in ("DET", "ADJ") and after == "ADJ"
    return before == "ADJ" and (after == "ADJ" or here.text == "-")


class Settings(StrictSettings):
    """Nothing to set."""


class BuiltinPhrases:
    """See `gotr1_eval.core.perception.Phrases`."""

    name = "builtin"
    fingerprint = fingerprint({"phrases": "builtin", "version": VERSION})

    def parse(self, prompts: Sequence[str]) -> list[Parse]:
        """One parse a prompt."""
        return [parse_prompt(prompt) for prompt in prompts]


def build(settings: Settings, workshop: Workshop) -> BuiltinPhrases:
    """The parser; needs nothing."""
    return BuiltinPhrases()
