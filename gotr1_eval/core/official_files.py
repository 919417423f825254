"""The files of other people that official numbers stand on: which, from where, and whether they are on this machine.

Nothing of them is part of this project. Addresses are those that the benchmarks' own instructions give; sizes and
hashes are stated only where a file's name or its authors state them, and None says that they are not known.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.errors import UsageError, nearest_name

FOLDER_VARIABLE = "GOTR1_EVAL_WEIGHTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFile:
    """One file that somebody else publishes.

    Attributes:
        key: what it is called here.
        names: of the file, the usual one first; any of them is recognised.
        made_for: which benchmarks' official numbers need it, and for what.
        host: where its authors, or the benchmark's, keep it.
        url: a plain address that answers with the file; None where a person has to click or another tool is needed.
        by_hand: how to get it then.
        hash_start: the first hex digits of its sha256, as its name states them; None where nobody states any.
    """

    key: str
    names: tuple[str, ...]
    made_for: Mapping[str, str]
    host: str
    url: str | None = None
    by_hand: str = ""
    hash_start: str | None = None

    @property
    def name(self) -> str:
        """The usual name of the file."""
        return self.names[0]


_OPENMMLAB = "https://download.openmmlab.com/mmdetection"
_SCRIPTS = "https://github.com/Karine-Huang/T2I-CompBench"

FILES = (
    OfficialFile(
        key="unidet-rs200",
        names=("Unified_learned_OCIM_RS200_6x+2x.pth",),
        made_for={"spatial": "the detector", "complex": "the detector"},
        host="huggingface.co/shikunl/prismer, as T2I-CompBench's instructions say",
        url="https://huggingface.co/shikunl/prismer/resolve/main/expert_weights/Unified_learned_OCIM_RS200_6x%2B2x.pth",
    ),
    OfficialFile(
        key="unidet-r50",
        names=("Unified_learned_OCIM_R50_6x+2x.pth",),
        made_for={"3d_spatial": "the detector", "numeracy": "the detector"},
        host="Google Drive, as T2I-CompBench's instructions say",
        by_hand="pip install gdown && gdown 'https://docs.google.com/uc?id=1C4sgkirmgMumKXXiLOPmCKNTZAc3oVbq'",
    ),
    OfficialFile(
        key="unidet-labels",
        names=("detection_features.pt",),
        made_for=dict.fromkeys(("spatial", "3d_spatial", "numeracy", "complex"), "the names of UniDet's classes"),
        host="github.com/Karine-Huang/T2I-CompBench, UniDet_eval/dataset",
        url=f"{_SCRIPTS}/raw/refs/heads/main/UniDet_eval/dataset/detection_features.pt",
    ),
    OfficialFile(
        key="dpt-hybrid",
        names=("dpt_hybrid-midas-501f0c75.pt",),
        made_for={"3d_spatial": "the depth maps"},
        host="huggingface.co/lllyasviel/ControlNet, as T2I-CompBench's instructions say",
        url="https://huggingface.co/lllyasviel/ControlNet/resolve/main/annotator/ckpts/dpt_hybrid-midas-501f0c75.pt",
    ),
    OfficialFile(
        key="blip-vqa",
        names=("model_base_vqa_capfilt_large.pth",),
        made_for=dict.fromkeys(("color", "shape", "texture", "complex"), "the questions (BLIP-VQA)"),
        host="storage.googleapis.com/sfr-vision-language-research",
        url="https://storage.googleapis.com/sfr-vision-language-research/BLIP/models/model_base_vqa_capfilt_large.pth",
    ),
    OfficialFile(
        key="clip-b32",
        names=("ViT-B-32.pt",),
        made_for=dict.fromkeys(("non_spatial", "complex"), "the cosine (CLIP ViT-B/32)"),
        host="OpenAI; in transformers' layout huggingface.co/openai/clip-vit-base-patch32",
        by_hand="nothing to do: the encoder `clip` fetches openai/clip-vit-base-patch32 from the hub when first used",
    ),
    OfficialFile(
        key="clip-l14",
        names=("ViT-L-14.pt",),
        made_for={"geneval": "the colours (CLIP ViT-L/14)"},
        host="OpenAI; in transformers' layout huggingface.co/openai/clip-vit-large-patch14",
        by_hand="nothing to do: the encoder `clip` fetches openai/clip-vit-large-patch14 from the hub when first used",
    ),
    OfficialFile(
        key="mask2former",
        names=(
            "mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth",
            "mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco.pth",
        ),
        made_for={"geneval": "the detector"},
        host="download.openmmlab.com",
        url=f"{_OPENMMLAB}/v2.0/mask2former/mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco/"
        "mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth",
        hash_start="743b7d99",
    ),
    OfficialFile(
        key="hps",
        names=("HPS_v2.1_compressed.pt",),
        made_for={"aesthetic": "R_HPS, the judge `aesthetic`"},
        host="huggingface.co/xswu/HPSv2",
        url="https://huggingface.co/xswu/HPSv2/resolve/main/HPS_v2.1_compressed.pt",
    ),
)
BENCHMARKS = tuple(dict.fromkeys(name for file in FILES for name in file.made_for))


def official_file(key: str) -> OfficialFile:
    """The file of that key; it must exist."""
    return next(file for file in FILES if file.key == key)


def needed_files(benchmark: str | None) -> Sequence[OfficialFile]:
    """The files that a benchmark's official number needs; all of them for None.

    Raises:
        UsageError: no such benchmark.
    """
    if benchmark is None:
        return FILES
    if benchmark not in BENCHMARKS:
        hint = nearest_name(benchmark, BENCHMARKS)
        raise UsageError(f"no benchmark named {benchmark!r}{hint} (known: {', '.join(BENCHMARKS)})")
    return [file for file in FILES if benchmark in file.made_for]


def weights_folder() -> Path:
    """Where files are kept and looked for when nothing else is said: $GOTR1_EVAL_WEIGHTS, or a folder of the cache."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "gotr1-eval" / "weights"


def find_file(file: OfficialFile, folder: Path) -> Path | None:
    """The file in a folder, under any of its names; None where it is not there."""
    return next((folder / name for name in file.names if (folder / name).is_file()), None)


def require_file(file: OfficialFile, setting: str, given: str | None) -> Path:
    """The path that a setting gives, or else the file in `weights_folder`.

    Raises:
        UsageError: there is none; says where it was looked for and how to get it.
    """
    if given is not None:
        path = Path(given).expanduser()
        if not path.is_file():
            raise UsageError(f"{setting}: no file {path}; expected {file.name} ({how_to_get(file)})")
        return path
    found = find_file(file, weights_folder())
    if found is None:
        raise UsageError(f"{setting}: no {file.name} in {weights_folder()}; give its path, or {how_to_get(file)}")
    return found


def how_to_get(file: OfficialFile) -> str:
    """The command that brings the file."""
    return f"gotr1-eval weights {file.key} --download" if file.url else file.by_hand


def hash_fault(file: OfficialFile, path: Path) -> str:
    """What is wrong with a file whose hash is known, in words; empty when nothing is, or nothing is known."""
    if file.hash_start is None:
        return ""
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return "" if found.startswith(file.hash_start) else f"sha256 begins with {found[:8]}, expected {file.hash_start}"
