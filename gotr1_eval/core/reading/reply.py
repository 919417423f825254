"""Where the answer stands in a reply: after the last thought, before the next speaker's turn."""

from __future__ import annotations

import re
import unicodedata

from gotr1_eval.core.outcome import Why

MOST_DELIMITERS = 50_000
"""A list of two thousand named boxes stays far below."""

MOST_CHARACTERS = 300_000
"""Longer replies are a runaway repetition, too."""

_WIDE = "：，（）［］｛｝／．｜＝；＋－％＜＞。\u00a0"
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_FOREIGN = str.maketrans(_WIDE, ":,()[]{}/.|=;+-%<>. ", _INVISIBLE)
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")
_FORMATTING = re.compile(r"</?(?:b|i|u|em|strong|p|span|div|mark|h[1-6]|code)>|<br ?/?>", re.I)

_THOUGHT = (
    r"(?:think(?:ing)?|thoughts?|thought_process|reflect(?:ion)?|scratch_?pad|inner_monologue|cot"
    r"|chain_of_thought|思考)"
)
_PREFIX = r"(?:(?:begin|start)_?(?:of_?)?|[a-z]{1,12}[:_])?"
_ASIDE = (
    r"(?:reason(?:ing|s)?|rationale|explanation|justification|analysis|comments?|feedback|critique|observations?"
    r"|evidence|summary|caption|description|plan|draft)"
)
_BOX_TOKEN = r"/?(?:ref|det|box|grounding)|(?:object_ref|obj|box|quad|point)_(?:start|end)|(?:begin|end)_of_box"
_ROLE = r"(?:user|human|assistant|system|developer|ipython|observation|tool|model|ai|bot)"
_INK = re.compile(r"\S")
_MARK = re.compile(
    rf"(?P<closing>[<◁]/{_PREFIX}{_THOUGHT}[>▷]|\[/(?:begin_)?think(?:ing)?\]|\[end_think(?:ing)?\]"
    rf"|<\|(?:/|end_?(?:of_?)?){_THOUGHT}\|>|<\|(?:begin_of_solution|start_response)\|>|<\|channel\|>final(?:\s*<\|message\|>)?|\bassistantfinal"
    r"|^\.\.\.done thinking\.?|<channel\|>|^here is my response:|<unused95>|\[begin final response\])"
    rf"|(?P<opening>[<◁]{_PREFIX}{_THOUGHT}(?:\s[^<>]{{0,80}})?[>▷]|\[(?:begin_)?think(?:ing)?\]"
    rf"|<\|{_PREFIX}{_THOUGHT}\|>"
    r"|<\|channel\|>(?:analysis|commentary)|\A\s*analysis(?=[A-Z{\"'])|<\|?channel>\s*thought"
    r"|\A\s*thought\s*\n|\A\s*thinking\.\.\.|\A\s*here is my thought process:|<unused94>)"
    rf"|(?P<token><\|(?!(?:{_BOX_TOKEN})\|>)[^|<>\n]{{1,40}}\|>(?:[ \t]*(?P<speaker>{_ROLE})\b)?"
    rf"|<(?:start_of_turn|turn\|)>(?P<turn>{_ROLE})?|<\|turn>(?P<gemma>{_ROLE})?"
    rf"|</?(?:end_of_turn|end_of_utterance|s|eos|bos|pad|eot|eo[ah]|unused[0-9]+|tool_response|{_ROLE})>"
    rf"|\[/?(?:inst|system_prompt|eos|end final response|tool_response|{_ROLE})\]|<</?sys>>)"
    rf"|^[ \t>*_(#]*+(?P<role>{_ROLE})\b[*_)]*[ \t]*(?::[*_]*|\n|\Z)"
    r"|^#{1,6}[ \t]*(?P<heading>instructions?|input|response|question|task|prompt)\b[ \t]*:?[ \t]*$"
    r"|^(?P<next>question|q|query|instruction|next (?:image|picture|task|question))[ \t]*[0-9]{0,2}[ \t]*[:.]",
    re.I | re.M,
)
_OTHER_SPEAKER = re.compile(
    r"user|human|system|tool|observation|ipython|developer|inst\b|input|question|task|prompt", re.I
)
_ASIDES = re.compile(rf"<({_ASIDE})>(?:(?!</?\1>).)*</\1>", re.I | re.S)
_ASIDE_OPENING, _ASIDE_CLOSING = re.compile(rf"<{_ASIDE}>", re.I), re.compile(rf"</{_ASIDE}>", re.I)
_REFUSAL = re.compile(
    r"\b(?:i(?:['’]m| am) (?:very |really |truly )?(?:sorry|unable|not able)"
    r"|i (?:can['’]?t|cannot|can not|won['’]?t|will not|am unable to) "
    r"(?:\w+ ){0,2}?(?:assist|help|provide|evaluate|comply|rate|score|judge|see|view|access|answer|do|analy[sz]e)"
    r"|as an ai\b|(?:please )?provide (?:me with )?the images?)|无法(?:评|打分|查看|看到|提供)|抱歉",
    re.I,
)
_REFUSED = re.compile(
    r"\b(?:i(?:['’]m| am) (?:\w+ )?(?:unable|not able) to|i (?:can['’]?t|cannot|can not|won['’]?t|will not)) "
    r"(?:\w+ ){0,2}?(?:assist|help|provide|evaluate|comply|rate|score|judge|answer|analy[sz]e"
    r"|(?:see|view|access|open|process) (?:(?:any|the|this|an|your|that) )?(?:attached |provided )?"
    r"(?:images?|pictures?|photos?))\b"
    r"|\bas an ai\b|\bplease provide (?:me with )?the images?|无法(?:评|打分|查看|看到图|提供)",
    re.I,
)


class UnreadableReply(ValueError):  # noqa: N818 - what it is, as in `Unscored`
    """No value can be read from a model's answer with certainty.

    Its text is one sentence that can be sent back to the model when it is asked again.

    Attributes:
        why: `UNREADABLE`, `TRUNCATED` or `REFUSED`.
    """

    def __init__(self, complaint: str, *, why: Why = Why.UNREADABLE) -> None:
        self.why = why
        super().__init__(complaint)


def answer_part(text: str, *, finish: str | None) -> str:
    """The answer alone, with full-width and foreign digits and punctuation as ASCII.

    Raises:
        UnreadableReply: the reply was cut off at the token limit; a thought was never closed; or the text is longer, or
            holds more brackets and commas, than any answer (a runaway repetition, which would take seconds to read).
    """
    answer = _without_asides(own_turn(text, finish=finish), finish=finish)
    return _unquoted(_FORMATTING.sub("", answer))


def own_turn(text: str, *, finish: str | None) -> str:
    """The answer with everything that stands in it, tagged asides and quotations too; raises as `answer_part`."""
    if finish == "length":
        raise UnreadableReply("The answer was cut off at the token limit.", why=Why.TRUNCATED)
    if len(text) > MOST_CHARACTERS or sum(map(text.count, "[{(,")) > MOST_DELIMITERS:
        raise UnreadableReply("The answer never comes to an end.")
    return _spoken(_plain(text), finish=finish)


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return _FOREIGN_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit.group())), text.translate(_FOREIGN))


def _spoken(text: str, *, finish: str | None) -> str:
    """What stands after the last thought and before the first mark of another speaker or of the end.

    A thought's opening mark may be missing, for some chat templates put it into the prompt. Between the channels of
    one reply (``<|channel|>analysis ... <|end|><|start|>assistant<|channel|>final``) the marks end nothing.
    """
    start, end, opening = 0, len(text), ""
    for mark in _MARK.finditer(text):
        said = _INK.search(text, start, mark.start()) is not None
        if mark["closing"]:
            if opening or not _is_mentioned(text, mark.start()):
                start, opening = mark.end(), ""
        elif mark["opening"]:
            opening = opening or mark["opening"]
        elif ("channel" in opening and mark["token"]) or (opening and not mark["token"]):
            continue
        elif opening or said:
            end = mark.start()
            break
        elif not mark["next"]:
            if _OTHER_SPEAKER.search(mark.group()):
                return ""
            start = mark.end()
    if opening:
        raise _inside_thoughts(finish)
    return text[start:end]


def _is_mentioned(text: str, position: int) -> bool:
    """Whether a closing mark is only spoken of ("the picture contains </think>")."""
    line = text[max(0, position - 80, text.rfind("\n", 0, position) + 1) : position]
    return re.search(r"\b(?:text|says?|reads?|contains?|shows?|written|painted)\b[^.!?]*\Z", line, re.I) is not None


def _inside_thoughts(finish: str | None) -> UnreadableReply:
    why = Why.UNREADABLE if finish == "stop" else Why.TRUNCATED
    return UnreadableReply("The answer ended inside the thoughts, before a value was given.", why=why)


def _without_asides(answer: str, *, finish: str | None) -> str:
    """The answer without explanations between tags, which may stand before or after it."""
    answer = _ASIDES.sub("\n", answer)
    if closings := list(_ASIDE_CLOSING.finditer(answer)):
        answer = answer[closings[-1].end() :]
    if _ASIDE_OPENING.search(answer):
        raise _inside_thoughts(finish)
    return answer


def _unquoted(answer: str) -> str:
    """The text of an answer that is one JSON string (``"{\\"score\\": 8}"``)."""
    whole = answer.strip()
    if re.fullmatch(r'"\s*[{\[](?:[^"\\]|\\.)*"', whole, re.S):
        return re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), whole[1:-1])
    return answer


def refuse_refusal(answer: str, end: int) -> None:
    """Refuse a value that follows a refusal (a sample answer, or a 0 for what was not seen).

    Raises:
        UnreadableReply: the words before the position decline to answer.
    """
    if _REFUSED.search(answer, 0, end):
        raise UnreadableReply("The answer declines to answer, and gives a value all the same.", why=Why.REFUSED)


def nothing_found(answer: str, asked: str, *, finish: str | None, cut: bool) -> UnreadableReply:
    """The error for an answer that declares nothing of what was asked.

    Args:
        answer: what was searched.
        asked: what was looked for, as the object of "The answer holds no ...".
        finish: why the model stopped, where known.
        cut: the answer ends inside an open bracket.
    """
    if cut and finish != "stop":
        return UnreadableReply(f"The answer was cut off before its {asked} was complete.", why=Why.TRUNCATED)
    if _REFUSAL.search(answer):
        return UnreadableReply(f"The answer declined to give a {asked}.", why=Why.REFUSED)
    return UnreadableReply(f"The answer holds no {asked} that can be read.")
