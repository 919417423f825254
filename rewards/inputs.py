"""What a judge needs of a sample, or the outcome to answer when it is not there.

Whose fault a failure is decides what it costs. A chain that was written but holds no readable box is the sample's
fault and earns a noted 0, or a policy would learn that broken plans escape punishment. A chain or picture that was
never given is nobody's verdict: `NO_INPUT`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from gotr1_eval.core.chain import NOTATIONS, Chain, parse_chain
from gotr1_eval.core.errors import DataError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.perception import FileDetector, PictureDetections
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import PictureError, Transparency, open_picture, open_stored, picture_name, picture_size
from gotr1_eval.files.remote_pictures import NOT_MADE

NO_BOX = "no readable box in the chain"
IN_MEMORY = "detections from a file need picture files, got one in memory"


def require_plan(sample: Sample) -> Chain | Score | Unscored:
    """The parsed chain when it holds a readable box; else 0 with a note, or `NO_INPUT` without a chain."""
    if sample.chain is None:
        return Unscored(why=Why.NO_INPUT, detail="the sample has no chain")
    chain = parse_chain(sample.chain)
    return chain if chain.boxed else Score(value=0.0, note=NO_BOX)


def refuse_without_plan(samples: Iterable[Sample], judges: Mapping[str, Judge], source: str) -> None:
    """Refuse chains made elsewhere of which not one holds a readable plan, where a judge looks at plans.

    A mean of 0 would then say something about the notation, and nothing about the plans.

    Raises:
        DataError: at least one sample has a chain, and no chain holds a readable box.
    """
    looking = [name for name, judge in judges.items() if judge.looks_at in ("plan", "grounding")]
    if not looking:
        return
    chains = 0
    for sample in samples:
        if sample.chain is not None:
            chains += 1
            if parse_chain(sample.chain).boxed:
                return
    if chains:
        raise DataError(
            f"none of its {chains} chains holds a readable plan, for which {', '.join(looking)} would give 0; read are "
            + NOTATIONS,
            path=source,
        )


def never_made(sample: Sample) -> Unscored | None:
    """Why the generator made no picture for the sample; None where it made one, or nobody says why there is none."""
    told = sample.meta.get(NOT_MADE)
    if sample.image is not None or not isinstance(told, dict):
        return None
    return Unscored(why=Why(str(told["why"])), detail=f"the generator made no picture: {told['detail']}")


def without_picture(sample: Sample, judge: Judge) -> Unscored | None:
    """What stands for the outcome of a judge that needs the picture which the generator has not made; None where the
    judge reads the chain, and there is one."""
    if judge.looks_at in ("prose", "plan") and sample.chain is not None:
        return None
    return never_made(sample)


def require_picture(sample: Sample, transparency: Transparency = "white") -> Image.Image | Unscored:
    """The sample's picture as RGB, or `NO_INPUT` with the reason."""
    return _opened(sample, partial(open_picture, transparency=transparency))


def require_stored_picture(sample: Sample) -> Image.Image | Unscored:
    """The sample's picture as its file stores it (mode, orientation), or `NO_INPUT` with the reason."""
    return _opened(sample, open_stored)


def _opened(sample: Sample, opened: Callable[[Path | Image.Image], Image.Image]) -> Image.Image | Unscored:
    if sample.image is None:
        return Unscored(why=Why.NO_INPUT, detail="the sample has no picture")
    try:
        return opened(sample.image)
    except PictureError as error:
        return Unscored(why=Why.NO_INPUT, detail=f"{picture_name(sample.image)}: {error}")


def picture_files(samples: Sequence[Sample]) -> list[Path]:
    """The samples' picture files; none where one of the pictures is no file, so that nothing is called surplus."""
    files = [sample.image for sample in samples if isinstance(sample.image, Path)]
    return files if len(files) == len(samples) else []


def require_detections(detector: FileDetector, sample: Sample) -> PictureDetections | Unscored:
    """What a file says about the sample's picture, which must be there and begin like a picture; else `NO_INPUT`.

    A frame that lies on its side against the picture (a camera's orientation, followed by one and not the other) would
    put every box elsewhere.
    """
    if sample.image is None:
        return Unscored(why=Why.NO_INPUT, detail="the sample has no picture")
    if not isinstance(sample.image, Path):
        return Unscored(why=Why.NO_INPUT, detail=IN_MEMORY)
    name = sample.image.name
    try:
        size = picture_size(sample.image)
    except PictureError as error:
        return Unscored(why=Why.NO_INPUT, detail=f"{name}: {error}")
    in_picture = detector.look_up(sample.image)
    if in_picture is None:
        return Unscored(why=Why.NO_INPUT, detail=f"{name}: no row of detections for this picture")
    if in_picture.size == size[::-1] != size:
        (width, height), (own_width, own_height) = in_picture.size, size
        turned = f"a frame of {width}x{height} lies on its side against this picture of {own_width}x{own_height}"
        return Unscored(why=Why.NO_INPUT, detail=f"{name}: {turned}; give boxes of the upright picture")
    return in_picture
