"""The judge of metrics that read the text in a picture and compare it with the text that was wanted.

A benchmark's judge is this one with a `TextMetric` of its own. Who reads is the role `ocr`: a language-vision model is
sent the request of the benchmark's script, unless it is given another one; an engine reads as it does. What was read is
kept with the score, so that a comparison can be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from benchmarks.checklist.encoding import AsItIs, Encoding
from benchmarks.semantics import Semantics, where_it_applies
from gotr1_eval.core.identifiers import fingerprint
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored, Why
from gotr1_eval.core.perception import Ocr, Transcript
from gotr1_eval.core.protocols import LooksAt, Workshop
from gotr1_eval.core.types import AskedCalls, Json, Sample
from rewards.inputs import require_picture

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMetric:
    """What a benchmark wants of the text in a picture.

    Attributes:
        metric: what the number is called.
        fact: the key of `Sample.meta` that the wanted text is made of; prompts without it are none of this metric's.
        compare: (the sample, what was read in each of its pictures) -> the outcome, without replies.
        encoding: what the reader is shown of a sample's picture.
        facts: whatever else changes a value.
    """

    metric: str
    fact: str
    compare: Callable[[Sample, Sequence[str]], Outcome]
    semantics: Semantics
    encoding: Encoding = field(default_factory=AsItIs)
    facts: Mapping[str, Json] = field(default_factory=dict)


class TextJudge:
    """See `gotr1_eval.core.protocols.Judge`; `Score.replies` hold what was read, one a picture that was shown.

    Its name says ``mean over pictures``, which a table's cells are: official numbers are sums over sums, and stand in
    the run's summary.

    Args:
        readers: who reads a sample's picture, by how many tokens an answer about it may have.
    """

    range = (0.0, 1.0)
    may_not_apply = True
    looks_at: LooksAt = "picture"

    def __init__(self, metric: TextMetric, readers: Mapping[int, Ocr], tokens: Callable[[Sample], int]) -> None:
        self._metric, self._readers, self._tokens = metric, readers, tokens
        self._first = next(iter(readers.values()))
        self.needs = frozenset({metric.fact})
        parts = [self._first.name, metric.encoding.name, "mean over pictures", metric.semantics]
        self.name = f"{metric.metric}[{', '.join(parts)}]"

    @property
    def model_calls(self) -> int:
        """As many as the reader asks about a picture."""
        return self._first.model_calls

    @property
    def fingerprint(self) -> str:
        """Of the name, the readers and the metric's own facts."""
        readers: list[Json] = [reader.fingerprint for reader in self._readers.values()]
        return fingerprint({"judge": self.name, "version": VERSION, "ocr": readers, "facts": dict(self._metric.facts)})

    def calls(self, sample: Sample) -> AskedCalls:
        """What the sample takes of a language-vision model; nothing where the metric does not apply."""
        if sample.meta.get(self._metric.fact) is None:
            return AskedCalls()
        each = self._reader(sample).asks
        return sum([each] * self._metric.encoding.most, AskedCalls())

    def _reader(self, sample: Sample) -> Ocr:
        return self._readers.get(self._tokens(sample), self._first)

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        """One outcome a sample; `NOT_APPLICABLE` without the fact that the wanted text is made of."""
        fact = self._metric.fact
        return where_it_applies(
            lambda sample: sample.meta.get(fact) is not None, samples, self._judge, f"needs the fact {fact!r}"
        )

    def _judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        shown = [self._shown(sample) for sample in samples]
        jobs: dict[int, list[tuple[int, Image.Image]]] = {}
        for place, pictures in enumerate(shown):
            for picture in pictures if isinstance(pictures, list) else ():
                jobs.setdefault(self._tokens(samples[place]), []).append((place, picture))
        read: dict[int, list[Transcript | Unscored]] = {}
        for tokens, pairs in jobs.items():
            reader = self._readers.get(tokens, self._first)
            for (place, _), one in zip(pairs, reader.read([picture for _, picture in pairs]), strict=True):
                read.setdefault(place, []).append(one)
        return [
            self._outcome(sample, read.get(place, [])) if isinstance(pictures, list) else pictures
            for place, (sample, pictures) in enumerate(zip(samples, shown, strict=True))
        ]

    def _shown(self, sample: Sample) -> list[Image.Image] | Unscored:
        picture = require_picture(sample)
        if isinstance(picture, Unscored):
            return picture
        pictures = self._metric.encoding.pictures(picture)
        detail = f"{self._metric.encoding.name}: no picture is left to judge"
        return pictures or Unscored(why=Why.UNDEFINED, detail=detail)

    def _outcome(self, sample: Sample, read: Sequence[Transcript | Unscored]) -> Outcome:
        replies = tuple(reply for one in read for reply in self._replies(one))
        if failed := next((one for one in read if isinstance(one, Unscored)), None):
            return Unscored(why=failed.why, detail=failed.detail, replies=replies)
        found = self._metric.compare(sample, [one.text for one in read if isinstance(one, Transcript)])
        if isinstance(found, Unscored):
            return Unscored(why=found.why, detail=found.detail, replies=replies)
        return Score(value=found.value, parts=found.parts, replies=replies, note=found.note)

    def _replies(self, read: Transcript | Unscored) -> tuple[Reply, ...]:
        """What the model said, or an engine's lines as if it had said them."""
        if isinstance(read, Unscored) or read.replies:
            return read.replies
        return (Reply(text=read.text, model=self._first.name),)


def official_readers(
    workshop: Workshop, spec: Mapping[str, Json], request: Callable[[], str], wording: str, tokens: Sequence[int]
) -> dict[int, Ocr]:
    """The readers of a metric by the tokens of an answer; an engine, and a model with a request of its own, is one.

    Args:
        request: the benchmark's own request, read from its authors' file when it is needed.
        wording: whose it is.
    """
    if spec.get("use") != "vlm" or "request" in spec:
        return {tokens[0]: workshop.ocr(spec)}
    text = request()
    return {most: workshop.ocr({**spec, "request": text, "wording": wording, "max_tokens": most}) for most in tokens}
