"""What the words around a value say about it: that it is the answer, a quotation, an example, or taken back."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from functools import lru_cache

from gotr1_eval.core.reading.literals import State, Structure
from gotr1_eval.core.reading.numbers import COUNTS, NUMBER_WORD, number_of
from gotr1_eval.core.reading.reply import UnreadableReply

_NUMBER = rf"(?:(?<![0-9])[0-9]{{1,6}}(?![0-9])(?:\.[0-9]{{1,6}})?|{NUMBER_WORD})"

_ANSWER = re.compile(
    r"\b(?:answers?|scor(?:e|es|ing)|rat(?:e|es|ed|ing|ings)|results?|output|verdict|evaluation|assessment|judge?ments?"
    r"|json|response|reply|final|here|conclu\w+|therefore|thus|so|hence|give|assign|award|overall|summary|correct\w*"
    r"|revis\w+|better|but|wait|actually|reflection|thought|instead|tool_?calls?|submit|arguments|box(?:es)?"
    r"|coordinates|location)\b|评分|打分|得分|分数|答案|结果|最终|如下|回答",
    re.I,
)
_ANNOUNCED = re.compile(
    r"\b(?:here(?:['’]s| is| are)|below is|my|final|i(?:['’]d| would|['’]ll| will)? (?:rate|give|score|assign|award"
    r"|answer))\b",
    re.I,
)
_NEVER = re.compile(
    r"\b(?:example|e\.\s?g|for instance|such as|(?<!json )(?<!the )format(?!\w)|the format (?:was|is|would|of)"
    r"|template|schema|hypothe\w+|if|suppose|imagine|assum\w+|were|would have|might|could|not|never|cannot"
    r"|instead of|rather than|unlike|quot\w+|painted|printed|written|writes?|says?|said|saying|reads?|reading"
    r"|caption\w*|draft|at first|initial\w*|previous\w*|earlier|ignore)\b"
    r"|n['’]t\b|\btext(?: (?:on|in|of|at) [\w ]{1,30})?\W*\Z|=\s*\Z|例如|比如|如果|假如|写着|文字",
    re.I,
)
"""Words that quote, suppose, deny or give an example, whatever else stands beside them."""
_SOURCE = re.compile(
    r"\b(?:text|words?|letters|sign|label(?:led|s)?|banner|poster|shirt|wall|board|scoreboard|screen|shows?|shown"
    r"|contains?|displays?|states?|claims?|asked|asks|instruct\w+|other|like|would|ocr|transcri\w+|another|someone"
    r"|somebody|else|judge|critic)\b|\b(?:has|lists?)\W*\Z",
    re.I,
)
"""Words that speak of what others say, unless the lead announces an answer of one's own."""
_NOUN = re.compile(
    r"\b(?:prompt|user|rubric|scale|criteri\w+|plan|chain|form|first|perfect|ideal|image|picture)\b", re.I
)
_QUOTING_END = re.compile(r"\b(?:shows?|contains?|displays?|states?|claims?)\W*\Z", re.I)
_LABELLED = re.compile(r"(?P<label>[^\n:]{1,40}):[*_]{0,3}[ \t]+[^\s:*_]")
_OWN_FIELD = re.compile(
    r"(?:the )?(?:captions?|descriptions?|reason(?:s|ing)?|rationale|explanation|justification|analysis|comments?"
    r"|observations?|notes?|summary)",
    re.I,
)
_SAYS_NEXT = re.compile(
    r"\b(?:shows?|contains?|displays?|states?|claims?|says?|said|reads?|writes?|written|lists?|has|text|words?)\W*\Z",
    re.I,
)
_DENIED = re.compile(
    r"(?:\b(?:is|are|was|were|does|do|did|has|have|can|could) ?(?:not|never)|\bcannot|n['’]t)\b(?=\W+\w)", re.I
)
_SENTENCE_END = re.compile(r"[.!?](?=\s)|\0")
_MARKUP = " \t\r\n`*_#-•|✅⭐★→➡▶👉📊🏆\ufe0f"
_GOES_ON = re.compile(
    r"[ \t]*(?:\Z|\n|```|[.,;:!?(—–-]|[A-Z\0]|because\b|since\b|as (?:the|it|there)\b|due\b|based\b|and\b|but\b"
    r"|overall\b|in total\b|</?[a-z]|<\|)"
)
_HYPOTHETICAL = re.compile(
    r"[^\n.!?]{0,120}?\b(?:if|would|were|for example|e\.g|hypothe\w+|says|reads|written|painted|in the picture)\b", re.I
)

_CLAUSE = r"(?:^|[.,;:!?(\[\"'*\0—–-]\s{0,3}|\b(?:but|and|oh|no|hmm+|so|then|well) )"
_TAKEN_BACK = re.compile(
    rf"{_CLAUSE}(?:wait\b(?=\s*[,.!:;—–-])|scratch that|strike that|never ?mind\b|oops\b|my (?:bad|mistake)\b"
    r"|on (?:second thoughts?|reflection)\b|upon reflection|in hindsight|correction\s*[:,;—–-]|i was wrong\b"
    r"|i take (?:that|it) back|disregard (?:that|this|the above)"
    r"|(?:\w+ )?too (?:generous|harsh|strict|lenient|high|low)\b)"
    r"|\b(?:that|this|it|which|score|rating)(?:['’]s| (?:is|was|seems|looks|may be|might be))(?: \w+)?"
    r" too (?:generous|harsh|strict|lenient|high|low)\b"
    r"|更正|等等|不对|修正|(?:应该?[是为]|改[为成]|调整[为到]|降[为到]|升[为到])\s?[0-9.]{1,5}(?:分|[\s。,.;)]|\Z)",
    re.I | re.M,
)
_POINTS = rf"(?![0-9.:]{{0,9}}[0-9])(?!{COUNTS})"
"""Behind a number that may be a value."""
_CHANGED = r"(?:reduc|lower|rais|increas|decreas|adjust|correct|chang|downgrad|upgrad|revis|bump|set|drop|fall)\w{0,4}"
_SAID = (
    r"(?:final|corrected|revised|updated|adjusted|new|true|real) (?:score|rating|answer|value|mark)s?"
    r"|(?:score|rating|mark|value|answer|it|that|this) should (?:rather )?be"
)
_TRIGGER = (
    r"wait|actually|correction|correct(?:ed|ing)|second thought|reflection|reconsider\w*|instead|revis\w+|i meant"
    r"|rather(?! than)|oops|sorry,|my bad|update[ds]?|amend\w*|edit(?:ed)?(?=\s*:)|mistake\w*"
    rf"|{_CHANGED}(?: (?:it|this|that|my|the score|score|down|up))? to|should rather be"
    r"|go(?:ing)? with|settl\w+ (?:on|for)|call it|deserves?|closer (?:look|inspection)|hence|therefore|thus|nope"
    r"|i (?:now |will )?(?:rate|give|score) (?:it|this)"
    r"|make (?:it|that)|(?:lower|raise|change|adjust|reduce|increase) (?:it|this|that|my|the score)|(?<!be )better"
    r"|(?:(?<=[\s(\"'*\0])|^)no\s?[,.:;!—–-]|hmm"
)
_OTHER = rf"(?:(?<=\W)|\b)[^\n]{{0,80}}?(?<![0-9.])(?<![0-9]/)\b(?P<number>{_NUMBER})\b{_POINTS}"
_REVISION = re.compile(rf"\b(?:{_TRIGGER}|{_SAID}){_OTHER}", re.I)
_SAID_ANEW = re.compile(rf"\b(?:{_SAID}){_OTHER}", re.I)
_REPLACING = (
    r"(?:final(?:ly)?|updated?|correct(?:ed|ion)|revis(?:ed|ion)|adjust(?:ed|ment)|amended|edit|new|now|actual)"
)
_ALONE = re.compile(
    rf"^[ \t*_`>#-]{{0,8}}(?:(?:(?:my )?{_REPLACING}(?:[ _]\w{{1,20}}){{0,2}}"
    r"|so|(?:the )?answer|verdict|conclusion)[*_`]{0,3}[ \t]?[:=][ \t*_`]{0,6})?"
    rf"(?P<number>{_NUMBER})(?:[ \t]?(?:/|out of)[ \t]?[0-9.]{{1,6}})?[ \t*_`.!]{{0,8}}$",
    re.I | re.M,
)
"""A line that is only a number, or a number under a label that replaces ("Final: 6")."""
_AT_LAST = re.compile(
    rf",[ \t](?:so |then |hence )?(?P<number>{_NUMBER})(?:[ \t]?(?:/|out of)[ \t]?[0-9.]{{1,6}})?[.!]?[ \t]*$",
    re.I | re.M,
)
"""A line that ends in a number, said after all else ("Given the missing dog, 5.")."""
_DEDUCTED = re.compile(
    rf"\b(?:minus|deduct\w*|subtract\w*|t[ao]+k(?:e|en|ing)? (?:off|away))\b[^\n.0-9]{{0,20}}?"
    rf"\b(?P<number>{_NUMBER})\b{_POINTS}",
    re.I,
)
_ANNOUNCES = re.compile(
    r"\b(?:wait|actually|correction|correct(?:ed|ing)|second thoughts?|reflection|hindsight|reconsider\w*|revis\w+"
    r"|refin\w+"
    r"|final(?:ly)?|better|more precise(?:ly)?|i meant|my mistake|scratch that|adjust\w*|updat\w+"
    r"|should (?:rather )?be)\b|更正|修正|最终",
    re.I,
)
_THINGS = (
    r"\s(?!(?:stars|points|marks|scores|ratings|percents|is|was|as|this|its|has|thus|perhaps|always|plus|minus)\b)"
    r"(?:(?!(?:as|is|with|for|on|in|by|because|since|due|and|but|the|a|an|i|it|this)\b)[^\W\d_]+[ \t]){0,2}?"
    r"(?:(?!(?:stars|points|marks|scores|ratings|percents|is|was|as|this|its|has|thus|perhaps|always|plus|minus)\b)"
    r"[^\W\d_]{2,30}s|people|children|men|women|sheep|fish|of (?:the|them))\b"
)
"""Behind "2 out of 3": it counts things."""
_TO = (
    rf"(?:{_NUMBER})\s{{0,4}}(?:\([^()\n]{{0,20}}\)\s{{0,4}}|\w{{1,20}}\s{{1,4}})?"
    r"(?:-|–|—|to|through|\.\.\.?|~|至|到)\s{0,4}"
)
_SCALES = re.compile(
    rf"(?P<size>at (?:a|the) )?(?:\bscale\b[^\n0-9]{{0,20}}?{_TO}(?P<scale>{_NUMBER})|\bscale of (?P<of>{_NUMBER}))\b"
    rf"|\brange\b[^\n0-9]{{0,20}}?{_TO}(?P<to>{_NUMBER})\b(?!{_THINGS})"
    rf"|\b(?:rat|scor|grad)\w{{1,4}}\b[^\n.0-9]{{0,30}}?\b(?:from|between)\s(?:0|1|zero|one)"
    rf"\s(?:to|and|through)\s(?P<between>{_NUMBER})\b(?!{_THINGS})"
    r"|\b(?:escala|scala|skala|échelle|шкал\w{1,3})\b[^\n0-9]{0,20}?[0-9]{1,3}\s?(?:a|à|al|bis|до|e|-|–)"
    r"\s?(?P<escala>[0-9]{1,4})\b"
    rf"|\b{_TO}(?P<range>{_NUMBER})[- ](?:point[- ])?scale|\b(?P<points>{_NUMBER})[- ](?:point"
    rf"|star)s?[- ](?:likert )?scale"
    rf"|\b(?:scores?|ratings?|marks?|points"
    rf"|grades?)\b[*_`\"']{{0,3}}\s{{0,3}}(?:[(\[]\s*{_TO}(?P<bracket>{_NUMBER})\s*(?:points?)?[)\]]"
    rf"|\(?(?:/|out of)\s*(?P<over>{_NUMBER})\b)"
    rf"|\b(?:max(?:imum|imal|\.)?|full marks?|(?:highest|top|best)(?: possible)? (?:score|rating|mark|points?))"
    rf"(?:[\s_]+(?:possible|total|score|points?|marks?|rating|value|is|of"
    rf"|being)){{0,4}}[\"'*]{{0,3}}\s*[:=(]?\s*(?P<top>{_NUMBER})\b"
    rf"|\b(?P<best>{_NUMBER})\s*(?:=|being|is|means)\s*(?:the\s+)?(?:best|perfect|highest|excellent|top)\b"
    r"|满分\s{0,4}(?:为|是|:)?\s{0,4}(?P<full>[0-9]{1,6}|一?[五十百])"
    r"|(?<![0-9])(?P<system>[0-9]{1,6}|一?[五十百])\s{0,4}分制"
    r"|(?<![0-9])(?P<manjeom>[0-9]{1,6})\s?(?:점|点|点数)?\s?(?:만점|満点)|(?:만점|満点)[^\n0-9]{0,4}(?P<full2>[0-9]{1,6})"
    r"|(?<![0-9])(?P<steps>[0-9]{1,3})段階",
    re.I,
)
_OF_SCORES = re.compile(r"\b(?:rat(?:e|ing)|scor|mark|grad|judg|give|assess|evaluat)", re.I)
"""Beside "at a scale of 1 to 24": that scale is one of scores, and no model's size."""
_OTHER_UNIT = re.compile(r"[\s`*_)\]}\"']{0,8}(?:%|percent|stars?\b|★|⭐)", re.I)


_RANGE = re.compile(r"\[[0-9]{1,3} ?(?:-|–|to) ?[0-9]{1,3}\]")


def name_of(key: str) -> str:
    """A key as it is compared: lower case, words joined by an underscore, quotes and markup off."""
    return "_".join(re.findall(r"[^\s_\-\"'“”‘’`*:]+", key[:200].casefold()))


def is_cut(structures: Sequence[Structure]) -> bool:
    """The text ended inside the last of the structures."""
    return bool(structures) and structures[-1].state is State.CUT


def blanked(answer: str, structures: Sequence[Structure]) -> str:
    """The answer with every structure overwritten, so that positions stay and nothing in them counts as prose.

    TeX's ``\\boxed{8}`` and the range of a scale (``[0-10]``) only look like one and are left.
    """
    pieces, position = [], 0
    for structure in structures:
        if answer.endswith("\\boxed", 0, structure.start) or _RANGE.fullmatch(answer, structure.start, structure.end):
            continue
        pieces += [answer[position : structure.start], "\0" * (structure.end - structure.start)]
        position = structure.end
    return "".join(pieces) + answer[position:]


class Standing(Enum):
    """What the words that lead to a value say of it."""

    MEANT = "meant"
    """It is the answer."""
    QUOTED = "quoted"
    """Somebody or something else says it, or it is an example or a supposition: it is passed over."""
    UNCLEAR = "unclear"
    """Neither: alone it is no answer, and beside another value it makes the answer unreadable."""


def standing(prose: str, start: int, *, strict: bool = True) -> Standing:
    """How what begins at `start` is meant, by the words that lead to it.

    The lead is the rest of its sentence before it, or, at a line's beginning, the line above that ends in a colon or
    goes straight on, unless that is a statement of its own ("Dog: not visible"). Words that quote, suppose, deny or
    give an example disqualify it; a lead in the same sentence must besides speak of an answer ("my score is", "here is
    the JSON:").

    Args:
        prose: the answer with its structures blanked out.
        strict: require those words; else only the disqualifying ones count.
    """
    if _in_quotation(prose, start):
        return Standing.QUOTED
    lead, straight = _lead(prose, start, statements=strict)
    if not lead:
        return Standing.MEANT
    if _NEVER.search(lead):
        return Standing.QUOTED
    if not strict or _ANNOUNCED.search(lead):
        return Standing.MEANT
    answers = _ANSWER.search(lead) is not None
    if _SOURCE.search(lead) or (_NOUN.search(lead) and not (answers and straight)):
        return Standing.QUOTED
    return Standing.MEANT if answers or not straight else Standing.UNCLEAR


def _lead(prose: str, start: int, *, statements: bool) -> tuple[str, bool]:
    """The words that lead to a position, and whether they lead straight to it (the same line, or a colon).

    Args:
        statements: a line above that is a statement of its own leads to nothing.
    """
    begin = prose.rfind("\n", 0, start) + 1
    line = prose[max(begin, start - 200) : start]
    if ">" in line[:3]:
        return "quoted", True
    here = _last_sentence(line)
    if here.strip(_MARKUP + "\"'“([{$0123456789.,;)"):
        return here, True
    above = prose[max(0, begin - 400) : begin]
    lines = [one for one in above.split("\n") if one.strip(_MARKUP) and not one.lstrip().startswith("```")]
    own = bool(lines) and statements and _is_statement(lines[-1].rstrip(_MARKUP + ">"))
    if not lines or own or line.strip(_MARKUP + "\"'“([{$0123456789.,;)"):
        return "", False
    last = lines[-1].rstrip(_MARKUP + ">")
    if last.endswith(":"):
        return _last_sentence(last), True
    touches = _QUOTING_END.search(last) or re.search(r"[^\n`][ \t]*\n(?:[ \t]*```\w*[ \t]*\n)?\Z", above)
    if touches and not last.endswith((".", "!", "?", ")", "]", "}", '"', "\0", "…")):
        return _last_sentence(last), False
    return "", False


def _is_statement(line: str) -> bool:
    """Whether a line says something by itself: a field with its label, or that something is not so.

    A label that speaks of what others say ("Text: ..."), or of an example, begins no statement, nor does a line that
    ends in a verb of saying or denies the answer itself.
    """
    if _SAYS_NEXT.search(line):
        return False
    label = _LABELLED.match(line)
    if label is not None:
        return _OWN_FIELD.fullmatch(label["label"].strip(_MARKUP)) is not None or not (
            _NEVER.search(label["label"]) or _SOURCE.search(label["label"])
        )
    denied = _DENIED.search(line)
    others = denied and _DENIED.sub(" ", line)
    return others is not None and not (_NEVER.search(others) or _SOURCE.search(others) or _ANSWER.search(others))


def _last_sentence(words: str) -> str:
    return _SENTENCE_END.split(words)[-1]


def _in_quotation(prose: str, start: int) -> bool:
    """Whether a quotation mark in the same paragraph is still open."""
    paragraph = prose[max(0, start - 1000, prose.rfind("\n\n", 0, start)) : start]
    return (
        paragraph.count('"') % 2 == 1
        or paragraph.count("“") > paragraph.count("”")
        or paragraph.count("「") > paragraph.count("」")
        or paragraph.count("«") > paragraph.count("»")
    )


def stands_alone(prose: str, end: int) -> bool:
    """Whether the sentence ends with a structure, and does not go on as in "{...} means nothing"."""
    closed = re.compile(r"[`*_)\]}\"']{0,8}").match(prose, end)
    position = closed.end() if closed else end
    return _GOES_ON.match(prose, position) is not None and not is_supposed(prose, position)


def is_supposed(prose: str, end: int) -> bool:
    """Whether the sentence goes on with a condition or a source ("... if it were there")."""
    return _HYPOTHETICAL.match(prose, end) is not None


def announces_correction(between: str) -> bool:
    """Whether the words between two values announce the later one as the answer, and quote nobody."""
    quoting = _NEVER.search(between) or re.search(r"[\"“「«]|\btext\b|\bwords?\b|\bcontains?\b|\bsign\b", between, re.I)
    return _ANNOUNCES.search(between) is not None and not quoting


def refuse_revision(prose: str, end: int, values: Mapping[str, float], *, high: float = math.inf) -> None:
    """Refuse an answer that takes its declaration back afterwards ("Wait, ...", "But then the score is 5").

    Args:
        end: the end of the declared number, so that the words right behind it are searched, too.
        values: what was declared, by name; naming the same number again takes nothing back.
        high: the best that there is; taking points off explains a value only if both together do not exceed it.

    Raises:
        UnreadableReply: what follows the position speaks of another value, or against the declared one.
    """
    if is_revised(prose[end:], values, high=high):
        raise UnreadableReply("The answer revises its value after declaring it.")


def is_revised(words: str, values: Mapping[str, float], *, high: float = math.inf, reasons: bool = False) -> bool:
    """Whether the words behind declared values take one of them back; see `refuse_revision`.

    Args:
        reasons: the words explain the values, so that they also speak of numbers of things ("there should be 5"): only
            a score that is named counts.
    """
    if _TAKEN_BACK.search(words):
        return True
    anew = list((_SAID_ANEW if reasons else _REVISION).finditer(words))
    if not reasons:
        anew = [*anew, *_ALONE.finditer(words), *_AT_LAST.finditer(words)]
    for found in anew:
        if number_of(found["number"]) != _meant_value(words, found.start("number"), values):
            return True
    for name, value in values.items():
        named = [*_mention(name, reasons=reasons).finditer(words)]
        for found in anew if len(values) > 1 else ():
            named += _beside(name).finditer(words, found.start(), found.end() + 100)
        if any(number_of(found["number"]) != value for found in named):
            return True
    for found in _DEDUCTED.finditer(words):
        meant = _meant_value(words, found.start("number"), values)
        if meant is not None and meant + number_of(found["number"]) > high:
            return True
    return False


def _meant_value(words: str, position: int, values: Mapping[str, float]) -> float | None:
    """The value of which a line speaks at a position: that of the last name before it, or the only one there is."""
    if len(values) == 1:
        return next(iter(values.values()))
    line = name_of(words[max(words.rfind("\n", 0, position) + 1, position - 200) : position])
    places = {line.rfind(name_of(name)): value for name, value in values.items()}
    last = max(places, default=-1)
    return places[last] if last >= 0 else None


@lru_cache(maxsize=256)
def _mention(name: str, *, reasons: bool = False) -> re.Pattern[str]:
    """ "... the score is 5", of a named score; reasons also say what "a score of 10" would take."""
    named = "(?:score|rating|mark|grade)" if name == "score" else re.escape(name).replace("_", "[ _]")
    says = rf"is(?: now)?|becomes|should be|drops to|falls to|(?:is |was )?{_CHANGED} to"
    article, says = ("the|my|its", says) if reasons else ("the|my|its|an?|then|and|but|so", f"{says}|of|to|would be")
    return re.compile(
        rf"\b(?:{article}) (?:\w+ )?{named}[*_\"']{{0,3}} (?:{says}) [*_]{{0,3}}(?P<number>{_NUMBER})", re.I
    )


@lru_cache(maxsize=256)
def _beside(name: str) -> re.Pattern[str]:
    """A name and the number behind it."""
    named = re.escape(name).replace("_", "[ _]")
    return re.compile(rf"\b{named}\b[^\n0-9]{{0,20}}?\b(?P<number>{_NUMBER})\b", re.I)


def refuse_other_scale(prose: str, high: float, values: Collection[float]) -> None:
    """Refuse an answer that speaks of another scale than the one asked for ("on a scale of 1 to 5", "Max: 5").

    Args:
        prose: the answer with its structures blanked out.
        high: where the scale ends that was asked for.
        values: what was declared; "4 out of 5" for the 4 that was declared states another scale, too.

    Raises:
        UnreadableReply: another scale is stated outside quotations.
    """
    for found in _SCALES.finditer(prose):
        top = next(stated for name, stated in found.groupdict().items() if stated and name != "size")
        around = prose[max(0, found.start() - 80) : found.end() + 80]
        if found["size"] and not _OF_SCORES.search(around):
            continue
        if number_of(top) != high and not _in_quotation(prose, found.start()):
            raise UnreadableReply(f"The scale asked for ends at {high:g}, the answer's at {top[:20]}.")
    for value in set(values):
        same = re.compile(
            rf"(?<![0-9./]){re.escape(f'{value:g}')}\s{{0,2}}\)?(?:/|out\s+of)\s{{0,2}}({_NUMBER})\b(?!{_THINGS})",
            re.I,
        )
        for found in same.finditer(prose):
            if number_of(found[1]) != high and not _in_quotation(prose, found.start()):
                raise UnreadableReply(f"The scale asked for ends at {high:g}, the answer's at {found[1][:20]}.")


def refuse_other_unit(prose: str, end: int, high: float) -> None:
    """Refuse a structure that is followed by another scale or unit (``{"score": 4} out of 5``, ``{...}%``).

    Raises:
        UnreadableReply: it is.
    """
    over = re.compile(
        rf"[\s`*_)\]}}\"'(]{{0,8}}(?:/|out\s+of|of)\s*(?:a (?:possible|maximum(?: of)?) )?({_NUMBER})\b", re.I
    ).match(prose, end)
    if (over is not None and number_of(over[1]) != high) or _OTHER_UNIT.match(prose, end):
        raise UnreadableReply(f"The scale asked for ends at {high:g}, the answer's elsewhere.")
