"""An encoder in front of drawings: is a picture nearest to its own caption?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.doctor.checks import Array, Check, batch_is_single, same_twice, sound
from benchmarks.doctor.drawings import everyday
from gotr1_eval.core.protocols import Encoder

TOLERANCE = 1e-3
"""Length of the difference of two unit vectors; float32 stays a hundred times below, half precision may not."""
NORM_SLACK = 1e-3


def encoder_checks(encoder: Encoder) -> Iterator[Check]:
    """Captions, numbers, repetition and batches; all captions must win, which weights drawn at random do not manage."""
    drawings = everyday().drawings
    pictures, captions = [drawing.picture for drawing in drawings], [drawing.caption for drawing in drawings]
    images, texts = encoder.embed_images(pictures), encoder.embed_texts(captions)
    shaped = images.ndim == 2 and texts.shape == images.shape and len(images) == len(pictures)
    if shaped:
        yield _ranks(images, texts)
    yield sound(_faults(images, texts, shaped=shaped), f"{len(pictures)} pictures and as many captions")
    if not shaped:
        return
    yield same_twice([images, texts], [encoder.embed_images(pictures), encoder.embed_texts(captions)])
    singles = [encoder.embed_images([picture])[0] for picture in pictures]
    singles += [encoder.embed_texts([caption])[0] for caption in captions]
    lengths = [_distance(one, other) for one, other in zip([*images, *texts], singles, strict=True)]
    yield batch_is_single(lengths, [np.zeros(())] * len(lengths), TOLERANCE, "vectors")


def _ranks(images: Array, texts: Array) -> Check:
    with np.errstate(invalid="ignore"):  # numbers that are not finite are told apart from wrong ones below
        cosines = images @ texts.T
        margins = np.diag(cosines) - np.where(np.eye(len(cosines), dtype=bool), -np.inf, cosines).max(axis=1)
    first = int((margins > 0).sum())
    detail = f"its own caption is nearest to {first} of {len(margins)} pictures (least margin {margins.min():.3f})"
    return Check("sees drawings", first == len(margins), detail)


def _faults(images: Array, texts: Array, *, shaped: bool) -> list[str]:
    if not shaped:
        return [f"expected as many rows as inputs and one width, got {list(images.shape)} and {list(texts.shape)}"]
    faults = []
    for name, rows in (("pictures", images), ("texts", texts)):
        if rows.dtype != np.float32:
            faults.append(f"{name} are {rows.dtype}, not float32")
        if not np.isfinite(rows).all():
            faults.append(f"{name} hold numbers that are not finite")
        elif np.abs(np.linalg.norm(rows, axis=1) - 1).max() > NORM_SLACK:
            faults.append(f"{name} are not of unit length")
    return faults


def _distance(one: Array, other: Array) -> Array:
    """Length of the difference; infinite where the widths differ."""
    if one.shape != other.shape:
        return np.array(np.inf)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.linalg.norm(one.astype(np.float64) - other.astype(np.float64)))
