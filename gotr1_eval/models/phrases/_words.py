"""Words whose part of speech the built-in parser knows; every other word is told by its ending and its neighbours."""

from __future__ import annotations


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
