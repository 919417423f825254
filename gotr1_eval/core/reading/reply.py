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
_BOX_OF_ANSWER = re.compile(r"<\|begin_of_box\|>(?=\s{0,9}[^\s0-9])")
"""Around more than a number the mark says only that here is the answer."""
_ROLE = r"(?:user|human|assistant|system|developer|ipython|observation|tool|model|ai|bot)"
"""Who speaks in a chat's marks. As a plain word most of them may be a thing in the picture ("Tool: a hammer")."""
_HEADING = re.compile(r"^#{1,6}[ \t]*\w", re.M)
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
    r"|^[ \t>*_(#]*+(?P<role>(?:user|assistant|system)\b[*_)]*[ \t]*(?::[*_]*|\n|\Z)|human[*_]*:[*_]*[ \t]*(?:\n|\Z))"
    r"|^#{1,6}[ \t]*(?P<heading>instructions?|input|response|question|task|prompt)\b[ \t]*:?[ \t]*$"
    r"|^(?P<next>question|q|query|instruction|next (?:image|picture|task|question))[ \t]*[0-9]{0,2}[ \t]*[:.]",
    re.I | re.M,
)
_OTHER_SPEAKER = re.compile(
    r"user|human|system|tool|observation|ipython|developer|inst\b|input|question|task|prompt", re.I
)
_ASIDES = re.compile(rf"<({_ASIDE})>(?:(?!</?\1>).)*</\1>", re.I | re.S)
_ASIDE_OPENING, _ASIDE_CLOSING = re.compile(rf"<{_ASIDE}>", re.I), re.compile(rf"</{_ASIDE}>", re.I)
_QUOTED = re.compile(
    r""""[^"\n]*"|(?<!\w)'[^'\n]*'(?!\w)|“[^“”\n]*”|(?<!\w)‘[^‘’\n]*’(?!\w)|«[^«»\n]*»|「[^「」\n]*」"""
)
_PICTURE = r"(?:images?|pictures?|photo(?:graph)?s?|files?|attachments?)(?: (?:data|files?|input))?"
_THAT = (
    r"(?:(?:any|an?|the|this|that|these|your|such|actual|attached|provided|uploaded|given|input|generated|first|second"
    r"|both|two|valid|accompanying)\s+){0,4}"
)
_ANOTHER = (
    r"(?!['’]s|[ -](?:frames?|books?|of|on|with|behind|hanging|showing|depicting|inside|within"
    r"|in (?!this|our|your|the (?:chat|conversation|message|prompt|request|input|link|attachment)))\b)"
)
"""Not behind the word: with it "the picture" is one in the picture, such as "the picture on the wall"."""
_GIVEN = (
    r"(?:provided|attached|uploaded|supplied|included|received|shared|sent|submitted|given|accessible|loaded|linked)"
)
_THERE = rf"(?:{_GIVEN}|(?:found|available|present|visible|there|shown|displayed|detected){_ANOTHER})"
_CLAUSE = (
    r"(?:\A|[.!?;:,>\n\0()\[\]*_\"'“—–-])\s{0,4}"
    r"(?:(?:and|but|so|sorry|apologies|unfortunately|however|since|because|as|note|no|yes|currently)[,:]?\s+){0,3}"
)
"""Where a statement may begin whose speaker is not named ("Unable to view the image.")."""
_CANNOT = (
    rf"(?:(?:\b(?:i|we)|{_CLAUSE})\s?(?:(?:am|['’]m|are|['’]re|was|were|currently|still)\s+){{0,2}}"
    r"(?:can['’]?t|can ?not|could(?:n['’]t| not)|won['’]?t|will not|(?:not able|unable) to"
    r"|(?:do|did)(?:n['’]t| not) have (?:the |any )?(?:ability|capability|capacity|means) to"
    r"|(?:lack|have no) (?:the |any )?(?:ability|capability|means) to|(?:must |have to )?(?:decline|refuse) to)"
    r"\s+(?:\w{1,15} ){0,2}?)"
)
_MORE = (
    r"(?!(?:(?!\b(?:so|and|but|because|since|hence|therefore|thus|without)\b)[^.!?;,\n]){0,60}\b(?:higher|lower|more|less|better|worse|full|perfect|highest|top|max\w*|above|below|beyond"
    r"|than|highly|as (?:good|an?|excellent|perfect)|points?|[0-9]+|ten)\b)"
)
"""Not behind "rate": with it only another score is declined ("I won't rate it higher")."""
_NO_PICTURE = re.compile(
    rf"\b(?:no|without(?: an?| the| any)?) (?:\w{{1,15}} ){{0,2}}?{_PICTURE} "
    rf"(?:(?:was|is|were|are|has been|have been|being|that (?:is|was)|seems to be|appears to be) )?{_THERE}\b"
    rf"|{_CLAUSE}(?:there (?:is|was|are|were)|there['’]s|i (?:see|have|received|got|find|was given)|we have)? ?"
    rf"no (?:(?:actual|valid|input|visible) )?{_PICTURE}"
    r"(?=\s*(?:[.,;:!?)\]\n\0<\"'*_—–]|\Z|(?:to|for (?:me|the|this)|here|so|and|but|which|that i)\b"
    r"|in (?:this|your|our|the (?:chat|conversation|message|prompt|request|input))\b))"
    rf"|\bwithout (?:access to|seeing|viewing|(?:being )?able to (?:see|view)) {_THAT}{_PICTURE}\b{_ANOTHER}"
    rf"|{_CLAUSE}without (?:the|an?|any) {_PICTURE},"
    rf"|\b(?:the|your|this|any|an) {_THAT}{_PICTURE} (?:(?:that )?you \w{{1,15}} )?"
    r"(?:(?:is|was|are|were|has|have|seems?|appears?) (?:to be )?"
    rf"(?:not (?:been )?{_THERE}|(?:unavailable|inaccessible|missing)(?=\s*(?:[.,;:!?)\]\n\0<\"'*_—–]|\Z|so\b|and\b)))"
    r"|(?:did(?:n['’]t| not)|does(?:n['’]t| not)|failed to|fails to|can['’]?t|can ?not|could(?:n['’]t| not)) "
    r"(?:be )?(?:load(?:ed)?|open(?:ed)?|accessed|seen|viewed|come through|rendered|retrieved|upload(?:ed)?))\b"
    rf"|{_CLAUSE}{_PICTURE} (?:not {_THERE}|unavailable|missing)(?=\s*(?:[.,;:!?)\]\n\0<\"'*_—–]|\Z))"
    rf"|\b(?:i|we) (?:do|did)(?:n['’]t| not) (?:\w{{1,15}} )?(?:see|have|receive|find|get|view|have access to) "
    rf"{_THAT}{_PICTURE}\b{_ANOTHER}"
    r"|(?:没有?|未)(?:能)?(?:看到|看见|提供|收到|找到|上传|附上|附带)?(?:任何|您|你|的|该|这|张|相关)*(?:图片|图像|照片)"
    r"(?=[\s.,;:!。！，、)]|\Z|可|供|提供|来|所以)"
    r"|(?:图片|图像|照片)(?:未|没有?|无法|不能)(?:被)?(?:提供|加载|显示|上传|查看|打开|看到|找到)(?=[\s.,;:!。！，、)]|\Z|出来)"
    r"|(?:看不[到见]|无法(?:查看|看[到见]|访问|打开|加载|读取))(?:到|您|你|任何|该|此|这|张|个|提供|的|所|上传|附)*"
    r"(?:图片|图像|图|照片)(?!中|里|上|内|片中|像中|片里|片上)",
    re.I,
)
"""There was nothing to look at."""
_NO_ANSWER = re.compile(
    rf"{_CANNOT}(?:(?:assist|help(?! but\b)|comply|evaluate|assess|judge|answer|analy[sz]e)\b(?! but\b){_MORE}"
    rf"|(?:rate|score|grade|provide)\b{_MORE}"
    r"|(?:give|assign|award|offer|determine|make) (?:you |it |this )?(?:(?:an?|any|the|your) )?"
    r"(?:(?:accurate|proper|meaningful|reliable|fair|numeric(?:al)?|definit(?:e|ive)|final|valid|specific) )?"
    rf"(?:scores?|ratings?|answers?|evaluations?|assessments?|verdicts?|judge?ments?|marks?)\b(?! of\b){_MORE}"
    r"|determine(?: (?:this|that|it))?(?=\s{0,4}(?:[.!\n]|\Z))"
    r"|(?:see|view|access|open|process|load|read|display|inspect|examine|perceive|look at|find|detect|interpret) "
    rf"{_THAT}{_PICTURE}\b{_ANOTHER})"
    r"|\b(?:as|i am|i['’]m) an? (?:ai|(?:\w{1,15}[ -]){0,2}language model|text-(?:only|based) \w{1,15})\b(?!-)"
    r"[^.!?\n]{0,60}\b(?:i|and) (?:can['’]?t|can ?not|do(?:n['’]t| not)|am (?:not able|unable)|lack\b|have no\b)"
    r"|(?:please|can you|could you|you (?:can|could|must|need to|have to|may)|if you|once you|until you) "
    r"(?:\w{1,15} )?(?:re-?)?(?:provide|upload|attach|share|send|supply|submit|include)d? "
    rf"(?:me |us )?(?:with )?{_THAT}{_PICTURE}\b{_ANOTHER}"
    r"|无法(?:对[^。\n]{0,12})?(?:评[分价估判]|打分|提供(?:评|分|答))|请(?:您|你)?(?:重新)?(?:提供|上传|发送)[^。\n]{0,6}图",
    re.I,
)
"""Nothing will be said."""
_SUPPOSED = re.compile(r"\b(?:if|when(?:ever)?|unless|in case|whether|even though|not that)\b[^.!?\n]*\Z|如果|若", re.I)
_APOLOGY = re.compile(r"\bi(?:['’]m| am) (?:very |really |truly )?(?:sorry|unable|not able)\b|抱歉", re.I)


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
    answer = _BOX_OF_ANSWER.sub("\n", _without_asides(own_turn(text, finish=finish), finish=finish))
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
            # An echo of the question as a section, with the answer in another.
            section = _HEADING.search(text, mark.end()) if mark["heading"] else None
            if section is None and _OTHER_SPEAKER.search(mark.group()):
                return ""
            start = section.start() if section else mark.end()
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


def declines(text: str) -> bool:
    """Whether prose, or a text inside an object, says that the picture could not be seen or that no answer is given.

    A value beside such words is a sample, or a 0 for what was not looked at. What is quoted or only supposed ("if no
    image is provided"), a picture in the picture, and a higher score that is declined say nothing of the kind.
    """
    spoken = _QUOTED.sub(" ", text)
    if not spoken.strip():  # nothing but a quotation is somebody's own words between marks
        spoken = text
    if _NO_ANSWER.search(spoken):
        return True
    return any(not _is_supposed(spoken, found.start()) for found in _NO_PICTURE.finditer(spoken))


def _is_supposed(text: str, position: int) -> bool:
    return _SUPPOSED.search(text[max(0, position - 60) : position]) is not None


def refuse_refusal(answer: str, end: int | None = None) -> None:
    """Refuse a value that stands beside a refusal, or behind it where only the words up to `end` are looked at.

    Raises:
        UnreadableReply: the words decline to answer.
    """
    if declines(answer[:end]):
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
    if _APOLOGY.search(answer) or declines(answer):
        return UnreadableReply(f"The answer declined to give a {asked}.", why=Why.REFUSED)
    return UnreadableReply(f"The answer holds no {asked} that can be read.")
