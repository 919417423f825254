"""The gallery's data: a light row of each sample for sorting and filtering, and all details of those that are shown.

The page holds the rows and the details of a chosen few; with `beside`, the details of all others are written as scripts
of `CHUNK` samples each and their pictures as files, which the page loads when it shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.outcome import Outcome, Score, Why
from gotr1_eval.core.statistics.ranks import Floats
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import PictureError, picture_name
from gotr1_eval.files.writing import write_atomically
from reports.run_data import RunData
from reports.run_page.sample_details import Frame, SampleDetails, Verdict, chain_defects, sample_details, why_in_words
from reports.run_page.sample_ranks import SampleRanks
from reports.shell import script_json
from reports.thumbnails import SmallPicture, shrink

CHUNK = 20
"""Samples of one file beside the page."""
ROOM = 14_000_000
"""Bytes of details that the page itself may hold; with tables and plots it stays under 15 MB."""
DIGITS = 5
_WRITTEN = re.compile(r"[0-9]+b?\.(?:js|png|jpeg)")

Details = dict[str, Any]
OUTCOMES = ("scored", *(why_in_words(why) for why in Why), "not judged yet")
"""What a row's outcome numbers mean."""
LONGEST = 6000
"""Characters of one chain, note or reply that a page shows; the run folder has the rest."""


def gallery_rows(
    run: RunData, ranked: SampleRanks, shown: Sequence[int], reasons: Sequence[str], before: RunData | None = None
) -> dict[str, Any]:
    """The columns that are filtered and sorted by, of the samples that are shown, as lists of equal length.

    Args:
        before: another run; how much its scores of the same samples have changed is a column a judge.
    """
    samples = list(run.samples.values())
    chosen = [samples[place] for place in shown]
    categories = list(dict.fromkeys(run.category(sample) for sample in samples))
    defects = [_defects(sample) for sample in chosen]
    names = sorted({name for found in defects for name in found})
    return {
        "judges": [{"factor": column.factor, "name": column.name} for column in run.judges],
        "categories": categories,
        "defects": names,
        "outcomes": OUTCOMES,
        "rows": {
            "id": [sample.id for sample in chosen],
            "prompt": [shortened(sample.prompt, 600) for sample in chosen],
            "category": [categories.index(run.category(sample)) for sample in chosen],
            "defects": [[names.index(name) for name in found] for found in defects],
            "scores": [_numbers(ranked.values[column.name], shown) for column in run.judges],
            "outcomes": [
                [_outcome(run.outcomes[column.name].get(sample.id)) for sample in chosen] for column in run.judges
            ],
            "disagreement": _numbers(ranked.disagreement, shown),
            "reason": list(reasons),
            "changed": [] if before is None else [_changes(run, before, column.name, chosen) for column in run.judges],
        },
    }


def _defects(sample: Sample) -> tuple[str, ...]:
    return chain_defects(parse_chain(sample.chain)) if sample.chain is not None else ()


def _numbers(values: Floats, shown: Sequence[int]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), DIGITS) for value in values[list(shown)]]


def _changes(run: RunData, before: RunData, judge: str, samples: Sequence[Sample]) -> list[float | None]:
    """How much more each sample scores than in the run before; None where either has no score."""
    pairs = [(before.outcomes.get(judge, {}).get(one.id), run.outcomes[judge].get(one.id)) for one in samples]
    return [
        round(now.value - then.value, DIGITS) if isinstance(then, Score) and isinstance(now, Score) else None
        for then, now in pairs
    ]


def _outcome(outcome: Outcome | None) -> int:
    if outcome is None:
        return len(OUTCOMES) - 1
    return 0 if isinstance(outcome, Score) else 1 + list(Why).index(outcome.why)


def embedded(run: RunData, places: Iterable[int], before: RunData | None = None) -> dict[int, Details]:
    """Details with pictures inside, of as many of these samples as there is room for, in this order.

    Args:
        before: another run, whose picture and scores of the same sample stand beside each.
    """
    samples, found, room = list(run.samples.values()), {}, ROOM
    for place in places:
        picture, fault = _picture(samples[place])
        details = _details(run, samples[place], picture.url if picture else None, picture, fault)
        if before is not None and (other := before.samples.get(samples[place].id)) is not None:
            shown, why = _picture(other)
            details["before"] = _before(run, before, other, shown.url if shown else None, shown, why)
        room -= len(script_json(details).encode(errors="replace"))
        if room < 0:
            break
        found[place] = details
    return found


def clear_beside(folder: Path) -> None:
    """Remove what `write_beside` wrote into a folder, and the folder when nothing else is in it."""
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        if _WRITTEN.fullmatch(file.name):
            file.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def write_beside(run: RunData, rest: Sequence[int], folder: Path, before: RunData | None = None) -> None:
    """Write the details and pictures of these samples into a folder, in chunks of `CHUNK`; see `embedded`."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = list(run.samples.values())
    chunks = [rest[start : start + CHUNK] for start in range(0, len(rest), CHUNK)]

    def write(number: int) -> None:
        details = [_with_file(run, samples[place], folder, place, before) for place in chunks[number]]
        write_atomically(folder / f"{number}.js", f"gallery.receive({number}, {script_json(details)});\n")

    # Pillow decodes and encodes without holding the interpreter's lock.
    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(len(chunks))))


def _with_file(run: RunData, sample: Sample, folder: Path, place: int, before: RunData | None) -> Details:
    picture, fault = _picture(sample)
    details = _details(run, sample, _kept(picture, folder, str(place)), picture, fault)
    if before is not None and (other := before.samples.get(sample.id)) is not None:
        shown, why = _picture(other)
        details["before"] = _before(run, before, other, _kept(shown, folder, f"{place}b"), shown, why)
    return details


def _kept(picture: SmallPicture | None, folder: Path, name: str) -> str | None:
    """Where the page finds the picture, which is written into the folder."""
    if picture is None:
        return None
    (folder / f"{name}.{picture.kind}").write_bytes(picture.data)
    return f"{folder.name}/{name}.{picture.kind}"


def _picture(sample: Sample) -> tuple[SmallPicture | None, str]:
    if sample.image is None:
        return None, "no picture"
    try:
        return shrink(sample.image), ""
    except PictureError as error:
        return None, f"{picture_name(sample.image)}: {error}"


def _details(run: RunData, sample: Sample, url: str | None, picture: SmallPicture | None, fault: str) -> Details:
    shown = sample_details(run, sample)
    order = {column.name: place for place, column in enumerate(run.judges)}
    return {
        "prompt": shortened(sample.prompt),
        "chain": _chain(shown),
        "planned": [_frame(frame) for frame in shown.planned],
        "found": {order[name]: [_frame(frame) for frame in frames] for name, frames in shown.found.items()},
        "picture": url,
        "sharp": picture is not None and picture.sharp,
        "fault": shortened(fault),
        "verdicts": [_verdict(verdict) for verdict in shown.verdicts],
        "facts": {
            "seed": None if sample.seed is None else str(sample.seed),
            "generator": sample.generator,
            "file": None if sample.image is None or not isinstance(sample.image, Path) else str(sample.image),
        },
    }


def _before(
    run: RunData, before: RunData, sample: Sample, url: str | None, picture: SmallPicture | None, fault: str
) -> Details:
    """The same sample in another run: its picture with its plan, and what the run's judges said of it there."""
    shown = sample_details(before, sample)
    said = {verdict.judge: verdict.headline for verdict in shown.verdicts}
    return {
        "prompt": shortened(sample.prompt),
        "planned": [_frame(frame) for frame in shown.planned],
        "found": {},
        "picture": url,
        "sharp": picture is not None and picture.sharp,
        "fault": shortened(fault),
        "said": [said.get(column.name) for column in run.judges],
    }


def _chain(shown: SampleDetails) -> list[list[Any]]:
    pieces = [[shortened(piece.text), piece.place, piece.fault] for piece in shown.pieces[:400]]
    missing = len(shown.pieces) - len(pieces)
    return [*pieces, [f" … [{missing} more pieces in the run folder]", None, ""]] if missing else pieces


def _frame(frame: Frame) -> list[Any]:
    return [shortened(frame.name, 200), frame.x, frame.y, frame.width, frame.height, frame.place]


def _verdict(verdict: Verdict) -> Details:
    return {
        "headline": verdict.headline,
        "parts": [[shortened(name, 200), value] for name, value in verdict.parts[:200]],
        "questions": [
            [shortened(one.text, 600), one.tag, shortened(one.said, 600), one.counted]
            for one in verdict.questions[:200]
        ],
        "note": shortened(verdict.note),
        "replies": [
            [reply.model, reply.finish, shortened(reply.text), list(reply.choice_log_probs)]
            for reply in verdict.replies[:20]
        ],
    }


def shortened(text: str, limit: int = LONGEST) -> str:
    """The text, or its beginning and how much is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … [{len(text) - limit:,} more characters in the run folder]"
