"""A language model writes the chain with its plan, and any generator paints from prompt, chain, or both."""

from __future__ import annotations

import json
import logging
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from gotr1_eval.core.chain import (
    BEGIN_OF_IMAGE,
    BOX_END,
    BOX_START,
    OBJ_END,
    OBJ_START,
    parse_chain,
    write_object,
)
from gotr1_eval.core.errors import UsageError, one_line
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Reply, Unscored, Why
from gotr1_eval.core.plugins import GENERATORS
from gotr1_eval.core.protocols import (
    UNREAD,
    Generated,
    Generator,
    Independent,
    PlansMemory,
    Request,
    Served,
    TokenBudget,
    Vlm,
    Workshop,
)
from gotr1_eval.core.reading.reply import UnreadableReply, own_turn
from gotr1_eval.core.types import Box, Json
from gotr1_eval.settings import Component, read_settings
from gotr1_eval.settings import Settings as StrictSettings
from gotr1_eval.shapes.layout import scene_for, write_scene_chain
from gotr1_eval.shapes.prompts import prompts as shapes_prompts
from gotr1_eval.shapes.statements import read_prompt

CAN = ("writes chains", "batches", "takes seeds")
VERSION = 1
log = logging.getLogger(__name__)

TEMPLATES = {"prompt": "[[prompt]]", "chain": "[[chain]]", "prose": "[[prose]]", "both": "[[prompt]]\n[[chain]]"}
"""What the painter is given, by the names that a setting may have."""
_MARKER = re.compile(r"\[\[(\w+)\]\]")
_MARKS = (OBJ_START, OBJ_END, BOX_START, BOX_END)
_IN_BRACKETS = re.compile(
    r"\[([^\[\]()<>|]{1,80}?)[ :,]*\(\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\)\s*,\s*\(\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\)\s*\]"
)
# GoT's own marks are special tokens of Qwen-VL: tokenizers break them up in questions, and drop them from answers.
_TASK = """You plan a picture before it is painted. Write one paragraph in plain words that describes the finished \
picture, and write every object of the request, at its first mention, in brackets with its box, in exactly this form:
[name (x1,y1),(x2,y2)]
The name may hold its colour and other attributes. (x1,y1) is the upper left corner of the object's box, (x2,y2) the \
lower right one, in whole numbers from 0 to 1000 whatever the picture's shape: x grows to the right, y downwards. \
Of several objects of one kind each gets brackets of its own. The boxes must stand as the request says. Add nothing \
that the request rules out, use brackets for nothing else, and write nothing before or after the paragraph."""


def _template(given: str) -> str:
    """Raises ValueError: it is no name, and holds no marker or an unknown one."""
    text = TEMPLATES.get(given, given)
    found = set(_MARKER.findall(text))
    if not found or found - {"prompt", "chain", "prose"}:
        raise ValueError(f"expected {', '.join(TEMPLATES)}, or a text with [[prompt]], [[chain]] or [[prose]]")
    return given


class Settings(StrictSettings):
    """Who writes, who paints, and what the painter is given.

    Attributes:
        model: the language model, as ``--judge-model`` takes it (a server, a folder, a file), or its settings.
        painter: the generator, with its settings.
        template: what the painter is given: `prompt`, `chain` (with its boxes as numbers), `prose` (the chain's words),
            `both`, or a text of your own with ``[[prompt]]``, ``[[chain]]`` and ``[[prose]]``.
        temperature: of the chain; 0 writes one chain a prompt, whatever the seed.
        max_tokens: of the chain.
        allow_cut: whether a picture counts whose painter did not read all of its text.
    """

    undeciding = frozenset({"model", "painter"})

    model: str | dict[str, Any]
    painter: Component
    template: Annotated[str, AfterValidator(_template)] = "both"
    temperature: float = Field(0.0, ge=0, allow_inf_nan=False)
    max_tokens: int = Field(600, ge=1)
    allow_cut: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A chain and how it came about.

    Attributes:
        chain: None where none could be read.
        missing: why there is none.
        replies: all that the model said, verbatim.
    """

    chain: str | None = None
    missing: Unscored | None = None
    replies: tuple[str, ...] = ()


class Writer:
    """Writes with one model and paints with another; see `gotr1_eval.core.protocols.Generator`."""

    def __init__(self, settings: Settings, vlm: Vlm, painter: Generator) -> None:
        self._settings, self._vlm, self._painter = settings, vlm, painter
        self._told = False
        self.name = f"writer[{vlm.name}, {painter.name}, {settings.template}]"
        # Neighbours change the last bits of a model in this process, and with them, now and then, a token.
        alone = isinstance(painter, Independent) and painter.independent
        self.independent = alone and isinstance(vlm, Served)

    @cached_property
    def fingerprint(self) -> str:
        """Of both models, the settings, and what the writer is told."""
        kept = self._settings.model_dump(exclude={"model", "painter"})
        models: list[Json] = [self._vlm.fingerprint, self._painter.fingerprint]
        return f"writer-{fingerprint({'version': VERSION, 'models': models, 'task': _ask(''), **kept})}"

    def fitting_tile(self, most: int) -> int:
        """What the painter says, where it plans its memory."""
        return self._painter.fitting_tile(most) if isinstance(self._painter, PlansMemory) else most

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Generated]:
        """One chain and one picture a prompt, or why there is none; raises what the models do."""
        if len(prompts) != len(seeds):
            raise UsageError(f"as many seeds as prompts are needed, got {len(seeds)} for {len(prompts)}")
        written = self._write(prompts, seeds)
        places = [place for place, one in enumerate(written) if one.chain is not None]
        texts = [self._text(prompts[place], written[place].chain or "") for place in places]
        painted = self._painter.generate(texts, [seeds[place] for place in places])
        pictures = dict(zip(places, painted, strict=True))
        return [self._made(one, pictures.get(place)) for place, one in enumerate(written)]

    def _write(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Written]:
        """The chains; one that cannot be read is asked for once more."""
        settings = self._settings
        # At temperature 0 the seed means nothing: pictures of one prompt share a chain, and its price.
        requests = [
            Request(
                prompt=_ask(prompt),
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
                seed=seed if settings.temperature else 0,
            )
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        keys = [(request.prompt, request.seed) for request in requests]
        asked = dict(zip(keys, requests, strict=True))
        first = dict(zip(asked, map(_read, self._vlm.reply(list(asked.values()))), strict=True))
        again = {
            key: replace(asked[key], followups=((one.replies[0], f"{_complaint(one)} Write the paragraph again."),))
            for key, one in first.items()
            if one.missing is not None and one.missing.why is Why.UNREADABLE
        }
        second = dict(zip(again, map(_read, self._vlm.reply(list(again.values()))), strict=True)) if again else {}
        both = {key: replace(one, replies=(*first[key].replies, *one.replies)) for key, one in second.items()}
        return [(first | both)[key] for key in keys]

    def _text(self, prompt: str, chain: str) -> str:
        """What the painter is given, in one pass: what stands in a prompt or a chain is not replaced in turn."""
        plain = chain.replace(BEGIN_OF_IMAGE, "")
        for mark in _MARKS:
            plain = plain.replace(mark, "")
        values = {"prompt": prompt, "chain": " ".join(plain.split()), "prose": parse_chain(chain).prose}
        template = TEMPLATES.get(self._settings.template, self._settings.template)
        return _MARKER.sub(lambda match: values[match[1]], template).strip()

    def _made(self, written: Written, painted: Generated | None) -> Generated:
        told: dict[str, Json] = {"writer_replies": [*written.replies]}
        if painted is None:
            return Generated(image=None, missing=_unwritten(written.missing), meta=told)
        meta = {**painted.meta, **told}
        if painted.chain is not None:
            meta["painter_chain"] = painted.chain
        if painted.missing is not None and painted.missing.why is Why.BACKEND:
            # The chain is written anew with the picture, so that it is not judged before.
            return Generated(image=None, missing=painted.missing, meta=meta)
        missing = painted.missing or self._cut(painted.meta.get(UNREAD))
        image = None if missing is not None else painted.image
        return Generated(image=image, chain=written.chain, missing=missing, meta=meta)

    def _cut(self, unread: Json) -> Unscored | None:
        """Why a picture does not count whose painter read a part of its text only; None where it counts."""
        if not isinstance(unread, int) or unread == 0 or self._settings.allow_cut:
            return None
        detail = (
            f"the painter does not read the last {unread} tokens of its text, so that the picture would show the cut "
            "and not the plan; give it less (template=prose) or allow it (allow_cut=true)"
        )
        if not self._told:
            log.warning("%s: %s", self.name, detail)
            self._told = True
        return Unscored(why=Why.NOT_GENERATED, detail=detail)


def in_marks(text: str) -> str:
    """The text in GoT's form: what stands in brackets in the form that the writer is told, between GoT's marks."""
    marked = f"{OBJ_START}\\1{OBJ_END} {BOX_START}(\\2,\\3),(\\4,\\5){BOX_END}"
    return _IN_BRACKETS.sub(marked, text.strip())


def in_brackets(chain: str) -> str:
    """A chain in GoT's form as the writer is told to write it."""
    text = chain.replace(BEGIN_OF_IMAGE, "").replace(f"{OBJ_END} {BOX_START}", " ")
    return text.replace(OBJ_START, "[").replace(BOX_END, "]")


def chain_faults(text: str) -> list[str]:
    """What keeps a text from being a chain in GoT's form, a sentence each; nothing where it is one.

    Stricter than `parse_chain`, which reads what strangers write: this model was told the form.
    """
    chain = parse_chain(text)
    rest = text.partition(BEGIN_OF_IMAGE)[2].strip()
    beside = chain.prose
    for one in chain.objects:
        beside = beside.replace(one.name, "")
    counts = {mark: chain.text.count(mark) for mark in _MARKS}
    faults = [
        (not chain.objects, "It names no object in the form [name (x1,y1),(x2,y2)]."),
        (bool(rest), "There is text behind the end."),
        (bool(re.search(r"[\[\]{}]", chain.text)), "There are brackets of another form."),
        (len(set(counts.values())) > 1, "Its marks are not all there."),
        (len(chain.objects) != counts[OBJ_START], "A box stands outside brackets, or an object is without its own."),
        (bool(chain.defects), f"Faults of the whole: {', '.join(defect.value for defect in chain.defects)}."),
        (not re.search(r"\w", beside), "It holds no words beside its objects."),
    ]
    named = [(one.name, defect.value) for one in chain.objects for defect in one.defects]
    objects = [f"The object {one_line(name, 60)!r}: {defect}." for name, defect in named[:8]]
    return [said for wrong, said in faults if wrong] + objects


def _read(reply: Reply | Unscored) -> Written:
    """The chain of a reply, with the mark of its end; or why there is none."""
    if isinstance(reply, Unscored):
        return Written(missing=reply, replies=tuple(one.text for one in reply.replies))
    try:
        text = in_marks(own_turn(reply.text, finish=reply.finish))
    except UnreadableReply as error:  # it was cut off, or still thinking
        missing = Unscored(why=Why.UNREADABLE, detail=str(error))
        return Written(missing=missing, replies=(reply.text,))
    faults = chain_faults(text)
    if faults:
        missing = Unscored(why=Why.UNREADABLE, detail=" ".join(faults))
        return Written(missing=missing, replies=(reply.text,))
    body = parse_chain(text).text.rstrip()
    return Written(chain=f"{body}{BEGIN_OF_IMAGE}", replies=(reply.text,))


def _complaint(written: Written) -> str:
    said = written.missing.detail if written.missing is not None else ""
    return f"This is no plan in the form that was asked for. {said}"


def _unwritten(missing: Unscored | None) -> Unscored:
    """Why there is no picture where there is no chain; a server that fails may do better when the run resumes."""
    why = Why.BACKEND if missing is not None and missing.why is Why.BACKEND else Why.NOT_GENERATED
    detail = "" if missing is None else missing.detail
    return Unscored(why=why, detail=f"the writer wrote no chain that can be read: {detail}")


def _ask(prompt: str) -> str:
    """The question to the language model; the prompt is a JSON text, which it cannot end by itself."""
    shown = [f"Request: {json.dumps(asked, ensure_ascii=False)}\nPlan: {plan}" for asked, plan in _examples()]
    request = f"Request: {json.dumps(prompt, ensure_ascii=False)}\nPlan:"
    return "\n\n".join([_TASK, *shown, request])


def _examples() -> list[tuple[str, str]]:
    """(request, plan): two that are computed in the shapes world, and one of ours in other words."""
    rng = random.Random(0)
    found = []
    for category in ("spatial", "numeracy"):
        prompt = shapes_prompts(category, "train")[0]
        statement = read_prompt(prompt)
        assert statement is not None, prompt
        found.append((prompt, in_brackets(write_scene_chain(scene_for(statement, rng), statement))))
    objects = {
        "grey cat": Box(0.08, 0.41, 0.46, 0.83), "wooden table": Box(0.03, 0.72, 0.97, 0.99),
        "open book": Box(0.58, 0.6, 0.88, 0.77),
    }  # fmt: skip
    cat, table, book = (in_brackets(write_object(name, box)) for name, box in objects.items())
    plan = (
        f"In the warm light of a lamp a {cat} sits at the left end of a {table} that fills the lower part of the "
        f"picture, and looks across to an {book} which lies to its right, its pages slightly curled."
    )
    return [*found, ("a grey cat on the left of an open book on a wooden table", plan)]


def token_budget(settings: Settings) -> TokenBudget:
    """The writer's chain, and what the painter takes."""
    painter: Mapping[str, Any] = settings.painter
    module: Any = GENERATORS.load(str(painter.get("use", "")))
    values = {name: value for name, value in painter.items() if name != "use"}
    budget = module.token_budget(read_settings(module.Settings, values, where="painter"))
    return TokenBudget(settings.max_tokens + budget.chain_at_most, budget.image)


def build(settings: Settings, workshop: Workshop) -> Writer:
    """The generator, with the model and the painter that its settings describe."""
    return Writer(settings, workshop.vlm(settings.model), workshop.generator(settings.painter))
