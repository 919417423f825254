"""The words by which prompts speak of places in the picture, as patterns for `relations`, which puts them together.

A blank in a pattern stands for a line end as well.
"""

from __future__ import annotations

import re

from gotr1_eval.core.geometry import Relation


def blanks(pattern: str) -> str:
    """The pattern with every blank as a blank or a line end."""
    return pattern.replace(" ", r"[ \n]")


BODY = r"(?:(?:-| )hand)?"
LEVEL = r"(?:upper|lower|top|bottom)(?: |-)"
PHRASES: tuple[tuple[Relation, str], ...] = (
    (Relation.LEFT_OF, rf"(?:(?:to|on|at|in) the )?(?:far |{LEVEL})?left{BODY}(?: side)? of"),
    (Relation.RIGHT_OF, rf"(?:(?:to|on|at|in) the )?(?:far |{LEVEL})?right{BODY}(?: side)? of"),
    (Relation.ABOVE, r"(?:on|at) (?:the )?top of|atop|above|over"),
    (Relation.BELOW, r"(?:on|at) (?:the )?bottom of|below|beneath|underneath|under"),
    (Relation.NEAR, r"next to|near(?: to)?|beside|adjacent to|close to|(?:on|by|at) (?:the )?side of"),
)
DETERMINER = (
    r"(?:an?|the|one|two|three|four|five|six|seven|eight|nine|ten|another|some|several|his|her|its|their|my|your)"
)
OWNER = rf"(?:its|his|her|their|whose|{DETERMINER} (?:[\w-]{{1,40}} ){{0,3}}?[\w-]{{1,40}}'s?)"
VERB = (
    r"(?:is|are|was|were|stands?|stood|sits?|sat|lies|lie|lay|sleeps?|slept|rests?|hangs?|hung|floats?|flies|appears?"
    r"|grows?|waits?|walks?|runs?|plays?|perches|leans?|rises|can be seen)"
)
ADDRESS = r"(?:we|you|one)(?: can| could)? sees?|we find|(?:put|place|draw|paint|show|add|imagine|see)"
PICTURE = r"(?:picture|image|photo|photograph|frame|scene|canvas)\b"
# A side alone, and not a part of a body ("on the left arm") or "the left of" something.
AFTER_SIDE = rf"(?= ?(?:$|[.,;:!?()]|(?:and|or|but|while|with|in|at|there|{VERB}|{DETERMINER}|{ADDRESS})\b))"
TO_PICTURE = rf"(?: of (?:the|this) {PICTURE})"
SIDE = (
    rf"(?:to|on|at|in) the (?:far |very )?(?P<side>left|right|top|bottom){BODY}(?: side| half| edge| part)?"
    rf"(?:{TO_PICTURE}|{AFTER_SIDE})"
)
OWNED = (
    rf"(?:to|on|at) (?P<owner>{OWNER}) (?:far |immediate )?(?P<owned>left|right){BODY}(?: side)?(?! of\b)" + AFTER_SIDE
)
RELATION = re.compile(
    r"(?<![\w-])(?:"
    + "|".join([blanks(SIDE), blanks(OWNED), *(f"(?P<{of.name}>{blanks(words)})" for of, words in PHRASES)])
    + r")(?![\w-])",
    re.I,
)
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
SENTENCE_END = re.compile(r"[;!?]+|\.+(?=\W|$)")
CLAUSE = re.compile(
    blanks(rf"[:\n]|,? (?:and|while|where|with|but) (?={DETERMINER}\b)|, ?(?=(?:{DETERMINER}|there)\b)"), re.I
)
NOUN_PHRASE = re.compile(rf"\b{DETERMINER}\b", re.I)

# Nothing is claimed where one of these stands with a relation.
DOUBT = re.compile(
    r"\b(?:not|never|no|none|nor|neither|nothing|nobody|without|nowhere|hardly|barely|scarcely|cannot|\w+n't"
    r"|dont|doesnt|isnt|arent|wasnt|or|either|whether|if|unless|except|instead|rather than|other than|anything but"
    r"|between|among|amid|avoid\w*|lacks?|lacking|missing|absent|opposite|swap\w*|far from|fails?|false|wrong"
    r"|forbidden|prohibited)\b",
    re.I,
)
DENIED_SENTENCE = re.compile(
    r"\W*(?:please )?(?:do not|don't|dont|never|avoid|neither|nothing|nobody|it is (?:not|un\w+|false|wrong)|it isn't"
    r"|there (?:is|are) (?:no|not|nothing|neither)|there (?:isn't|aren't))\b",
    re.I,
)
QUESTION = re.compile(
    r"\W*(?:is|are|was|were|does|do|did|has|have|what|which|who|whose|where|why|how|should|can|could|would|will)\b",
    re.I,
)
LARGE = (
    r"(?:\W?[0-9]|(?:an? |half an? |one |two |three |four |five |six |seven |eight |nine |ten )?"
    r"(?:hundred|thousand|million|billion|dozen|couple|half)s?\b|(?:eleven|twelve|\w+teen|twenty|thirty|forty|fifty"
    r"|sixty|seventy|eighty|ninety)\b"
    r"|\w+ (?:years?|months?|weeks?|days?|hours?|minutes?|percent|feet|foot|inches|meters|metres|dollars"
    r"|times|degrees)\b)"
)
ABSTRACT = (
    r"(?:construction|attack|pressure|control|influence|repair|renovation|maintenance|supervision|arrest|fire|siege"
    r"|surveillance|investigation|development|review|consideration|way|circumstances|conditions|guidance|cover|disguise"
    r"|stress|threat|age|par|average|zero|freezing|suspicion|all|ground|sea level|time|night|years|water|budget"
    r"|the (?:weather|years|course of|influence|impression|guise|care|command|direction|name|title|age|age of|limit"
    r"|phone|internet|radio|weekend|past|next)"
    r"|future|past|death|miss|distance|perfection|perfect|midnight|noon|dusk|dawn|completion|home"
    r"|the (?:future|end|viewer|camera|lens)|nothing|none|impossible"
    r"|and over|there|here|again|that|this|these|those|everything|things|the world|it all|me|you|us)"
)
NO_OBJECT = re.compile(blanks(rf" ?(?:{LARGE}|{ABSTRACT}\b)"), re.I)
NO_RELATION_BEFORE = re.compile(
    r"\b(?:all|game|left|knock\w*|tip\w*|trip\w*|flip\w*|turn\w*|roll\w*|fell|fall\w*|took|taken?|takes|handed|hands|came"
    r"|pull\w*|and|think\w*|do|start\w*)\s\Z",
    re.I,
)
LEFTOVER = re.compile(
    r"\b(?:what(?:'s| is| was)|little(?: is| was)?|nothing|much|all(?: that)?(?: is| was)|is)\s\Z", re.I
)
NOT_A_PLACE = re.compile(r"[ \n](?:way|passage|cent(?:er|re)|reply|return)\b", re.I)
IDIOMATIC = ("over", "under", "above", "below", "near", "near to", "close to", "next to", "on top of", "beneath")

# Places in the picture, which are no things.
_PART = (
    r"(?:(?:upper|lower|top|bottom|far|very) )?(?:cent(?:er|re)|middle|edges?|corners?|borders?|top|bottom|left|right)"
    rf"{BODY}(?: (?:side|edge|corner|half|part|third))?"
)
PART = re.compile(blanks(rf" (?:(?:the|this) )?{_PART}{TO_PICTURE}?{AFTER_SIDE}"), re.I)
"""Behind a relation, where it then only says where in the picture something is: "near the center"."""
PART_OF_THING = re.compile(blanks(rf" (?:(?:the|this) )?{_PART} of\b"), re.I)
WHOLE_PICTURE = re.compile(
    blanks(
        rf" (?:(?:the|this) )?(?:(?:whole|entire) )?(?:{PICTURE}|composition\b|background\b|foreground\b)"
        r"(?! (?:of|frames?|books?|hanging|on)\b)"
    ),
    re.I,
)
SIDE_OF = re.compile(r"\b(?:left|right|top|bottom|side)\b", re.I)
COMPOUND = re.compile(blanks(rf"\b{LEVEL}(?:left|right)\b"), re.I)
DIAGONALLY = re.compile(r"\bdiagonal(?:ly)?\s\Z", re.I)

# Words that are painted, not stated.
QUOTED = re.compile(
    r"(?<!\w)\"[^\"\n]*\"|“[^“”\n]*”|«[^«»\n]*»|「[^「」\n]*」"
    r"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){1,80}'(?!\w)|(?<!\w)‘[^‘\n]{1,80}?’(?!\w)"
)
MID_LINE = re.compile(r"[a-z][^\n:]*\Z")
CAPITALS = re.compile(r"\W*[A-Z]{2}")

PRONOUN = re.compile(
    blanks(
        r" ?(?:it|them|him|itself|themselves|himself|herself|(?:her|his|theirs)(?= ?(?:$|[.,;:!?()]"
        r"|(?:and|is|are)\b)))\b"
    ),
    re.I,
)
RECIPROCAL = re.compile(blanks(r" ?(?:each other|one another)\b"), re.I)
RELATIVE = re.compile(blanks(r" ?(?:which|whom)\b,?"), re.I)
LEADING_VERB = re.compile(blanks(rf"(?:,| )*(?:there )?(?:{VERB} |{ADDRESS} )?"), re.I)
INVERSION = re.compile(
    blanks(rf",? (?:there(?:'s)? )?(?:(?:{VERB}|{ADDRESS}) )(?={DETERMINER}\b)|,? there's (?={DETERMINER}\b)"),
    re.I,
)
COMMA = re.compile(blanks(rf", ?(?:there (?:is|are) )?(?={DETERMINER}\b)"), re.I)
LEAD_IN = re.compile(
    blanks(
        rf"\W*(?:(?:{DETERMINER} )?(?:photo|photograph|picture|image|scene|drawing|painting|view)"
        r"(?: of| where| in which| showing| featuring|:)\W+)?"
        r"(?:(?:and|but|with|then|also|now|directly|just|slightly|immediately|far)\W+)*"
    ),
    re.I,
)
PLACE = re.compile(blanks(r"\W*(?:in|on|at|inside|within|outside|during|by) [^,]*,\W*"), re.I)
OPEN_END = re.compile(blanks(r"(?:,|,? (?:and|but|with|where|while)(?: also| then)?)\s*\Z"), re.I)
WITHOUT_OBJECT = re.compile(r"\s*(?:,|(?:and|but|while|where|with)\b)", re.I)
COLON_END = re.compile(r":\s*\Z")
JOINED = re.compile(blanks(r",? (?:and|but)(?: (?:also|is|are|it is|they are))*\s*\Z"), re.I)
OWN_VERB = re.compile(blanks(rf" {VERB}\s*\Z"), re.I)
RELATIVE_VERB = re.compile(blanks(rf" (?:that|which|who) {VERB}\s*\Z"), re.I)
BARE_JOIN = re.compile(r"\W*(?:and|but)?\W*(?:also\W*)?")
BOTH_SIDES = re.compile(blanks(r"\b(?:left|right|above|below|over|under)(?: side)? (?:and|or)\s*\Z"), re.I)
STRAY_ENDS = re.compile(blanks(r"(?:\W|\b(?:and|but|while|with)\b)*"), re.I)
NO_NOUN_BEFORE = re.compile(
    r"\b(?:of|in|on|at|by|for|with|and|or|from|to|near|behind|that|which|who|has|have|as|\w+ing|is|are)\s\Z", re.I
)
HAS = re.compile(blanks(r" (?:has|have|having) "), re.I)
FILLERS = re.compile(blanks(r"\b(?:there (?:is|are)|and|with|but|while|where)\b"), re.I)
NEXT_CLAUSE = re.compile(blanks(rf"\n|, ?(?={DETERMINER}\b)"), re.I)
CLOSED = re.compile(blanks(r" ?(?:$|[.,;:!?()]|(?:and|while|with|in|at)\b)"), re.I)
STRAY_END = re.compile(blanks(r"(?:\W|\b(?:and|but|while|with|is|are))*\Z"), re.I)
WITH_END = re.compile(r"\bwith\s*\Z", re.I)
SCENERY = re.compile(
    blanks(
        rf"\W*(?:there (?:is|are) )?(?:{ADDRESS} )?(?:{DETERMINER} )?(?:[\w-]{{1,20}} ){{0,2}}"
        r"(?:photo(?:graph)?|picture|image|scene|drawing|painting|view|illustration|landscape|(?:bed|bath|class)?room"
        r"|kitchen|office|park|street|city|garden|yard|field|meadow|beach|forest|desert)\W*"
    ),
    re.I,
)
"""What stands in no relation itself, so that in "a kitchen with a cat left of a dog" only the cat can."""
