"""The packages that this field expects by name: what stands in for each, and where one is installed, do both agree?

docs/packages.md says why each is used or not. None of them is needed.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType

import numpy as np
from PIL import Image

from gotr1_eval.core.errors import one_line
from gotr1_eval.models.encoders.hps import fit_and_pad
from gotr1_eval.models.vlms.messages import MOST_TOKENS, TOKEN_SIDE, read_messages
from gotr1_eval.models.vlms.server_settings import smart_resized

HPS_SIDE = 224
_ROUNDING = 1e-5
"""Of pixels in CLIP's units: what float32 leaves between two orders of the same sums."""


class DiffersError(Exception):
    """What a package and ours answer differently."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A package by its name on PyPI.

    Attributes:
        instead: what does its work here.
        agree: compares the two and says over what; raises `DiffersError` where they differ. None where its answers are
            compared as recorded, in the tests.
    """

    name: str
    instead: str
    agree: Callable[[], str] | None = None


def qwen_vl_utils_agrees() -> str:
    """Sizes, pixels and messages of qwen-vl-utils against ours, over drawings and sizes by a seed."""
    theirs = importlib.import_module("qwen_vl_utils")
    resize = importlib.import_module("qwen_vl_utils.vision_process").smart_resize
    chance = random.Random(0)
    sizes = [(chance.randint(TOKEN_SIDE, 5_000), chance.randint(TOKEN_SIDE, 5_000)) for _ in range(2_000)]
    for width, height in sizes:
        few, most = sorted(TOKEN_SIDE**2 * chance.randint(4, MOST_TOKENS) for _ in range(2))
        height_width = resize(height, width, factor=TOKEN_SIDE, min_pixels=few, max_pixels=most)
        ours = smart_resized((width, height), factor=TOKEN_SIDE, min_pixels=few, max_pixels=most)
        if ours != height_width[::-1]:
            raise DiffersError(f"{width}x{height}: ours {ours}, theirs {height_width[::-1]}")
    parts: list[dict[str, object]] = [
        {"type": "image", "image": _noise(size, mode, chance), **asked}
        for size, mode, asked in (
            ((640, 480), "RGB", {"max_pixels": 64 * TOKEN_SIDE**2}),
            ((60, 90), "RGBA", {"min_pixels": 64 * TOKEN_SIDE**2}),
            ((333, 111), "L", {"resized_height": 280, "resized_width": 420}),
        )
    ]
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": "What is this?"}]}]
    seen, _ = theirs.process_vision_info(messages)
    for at, (one, other) in enumerate(zip(read_messages(messages).images, seen, strict=True)):
        if one.size != other.size or not np.array_equal(np.asarray(one), np.asarray(other)):
            raise DiffersError(f"picture {at} of a message is another")
    return f"{len(sizes)} sizes and {len(seen)} pictures of a message, to the pixel"


def hpsv2_agrees() -> str:
    """HPSv2's own preparation of pictures against ours; its file alone is loaded, since the package wants many more."""
    transform = _alone("hpsv2", "hpsv2/src/open_clip/transform.py")
    prepare = transform.image_transform(HPS_SIDE, is_train=False, resize_longest_max=True)
    chance = random.Random(0)
    sizes = [(512, 512), (768, 512), (300, 640), (1023, 77), (64, 64)]
    for size in sizes:
        picture = _noise(size, "RGB", chance)
        apart = float(np.abs(prepare(picture).numpy() - fit_and_pad(picture, HPS_SIDE).numpy()).max())
        if not apart <= _ROUNDING:
            raise DiffersError(f"{size[0]}x{size[1]}: {apart:.2g} apart in CLIP's units")
    return f"{len(sizes)} pictures, within {_ROUNDING:g} in CLIP's units"


EXPECTED = (
    Expected("qwen-vl-utils", "gotr1_eval.models.vlms (messages, qwen)", qwen_vl_utils_agrees),
    Expected("hpsv2", "the encoder hps", hpsv2_agrees),
    Expected("janus", "transformers' Janus, and gotr1_eval.models.janus for the original layout"),
    Expected("mmdet", "the detector mask2former"),
    Expected("detectron2", "the detector unidet"),
)


def expected_packages() -> dict[str, str]:
    """Package -> its version or that it is not installed, what stands in for it, and whether both agree."""
    return {one.name: _said_of(one) for one in EXPECTED}


def _said_of(one: Expected) -> str:
    try:
        version = metadata.version(one.name)
    except metadata.PackageNotFoundError:
        return f"not installed, and not needed: {one.instead}"
    if one.agree is None:
        return f"{version}, not used: {one.instead}"
    try:
        return f"{version}, agrees with {one.instead}: {one.agree()}"
    except DiffersError as difference:
        return f"{version}, DIFFERS from {one.instead}: {difference}"
    except Exception as error:  # noqa: BLE001 - foreign packages fail in any way beside others of another year
        return f"{version}, does not run here ({type(error).__name__}: {one_line(error, 100)}): {one.instead}"


def _noise(size: tuple[int, int], mode: str, chance: random.Random) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, size, chance.randbytes(size[0] * size[1] * channels))


def _alone(distribution: str, path: str) -> ModuleType:
    """One module of an installed package, with its neighbours in reach and without its package's own beginning."""
    file = metadata.distribution(distribution).locate_file(path)
    folder = ModuleType(f"_{distribution}_alone")
    folder.__path__ = [str(file).rpartition("/")[0]]
    sys.modules[folder.__name__] = folder
    return importlib.import_module(f"{folder.__name__}.{path.rpartition('/')[2].removesuffix('.py')}")
