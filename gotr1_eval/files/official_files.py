"""The files of other people that official numbers stand on: which, from where, and whether they are on this machine.

Nothing of them is part of this project. Addresses are those that the benchmarks' own instructions give; sizes and
hashes are stated only where a file's name or its authors state them; of no file here a size is stated.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gotr1_eval.core.errors import UsageError
from gotr1_eval.files.downloading import cache_folder

FOLDER_VARIABLE = "GOTR1_EVAL_WEIGHTS"
_CHECKPOINTS = (b"PK", b"\x80")
"""How torch's files begin, today's and those of its first years; a page that says "not found" does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFile:
    """One file that somebody else publishes.

    Attributes:
        key: what it is called here.
        names: of the file, the usual one first; any of them is recognised.
        made_for: which benchmarks' official numbers need it, and for what.
        host: where its authors, or the benchmark's, keep it.
        url: a plain address that answers with the file; None where a person has to click or another tool is needed.
        by_hand: how to get it then, into ``{folder}``.
        on_hub: it is a repository of the Hugging Face hub, and kept in the hub's own cache.
        hash_start: the first hex digits of its sha256, as its name states them; None where nobody states any.
        instead_of: key of the file that this one, of the same weights, does as well as; None for the usual ones.
    """

    key: str
    names: tuple[str, ...]
    made_for: Mapping[str, str]
    host: str
    url: str | None = None
    by_hand: str = ""
    on_hub: bool = False
    hash_start: str | None = None
    instead_of: str | None = None

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
        by_hand="pip install gdown && gdown 'https://docs.google.com/uc?id=1C4sgkirmgMumKXXiLOPmCKNTZAc3oVbq' "
        "-O '{folder}/'",
    ),
    OfficialFile(
        key="unidet-labels",
        names=("detection_features.pt",),
        made_for=dict.fromkeys(("spatial", "3d_spatial", "numeracy", "complex"), "the names of the detector's classes"),
        host="github.com/Karine-Huang/T2I-CompBench, UniDet_eval/dataset",
        url=f"{_SCRIPTS}/raw/refs/heads/main/UniDet_eval/dataset/detection_features.pt",
    ),
    OfficialFile(
        key="dpt-hybrid",
        names=("Intel/dpt-hybrid-midas",),
        made_for={"3d_spatial": "the depth maps (dpt_hybrid-midas-501f0c75.pt, as its authors converted it)"},
        host="huggingface.co, in transformers' layout",
        by_hand="the depth model `dpt` fetches it when it is first used",
        on_hub=True,
    ),
    OfficialFile(
        key="blip-vqa",
        names=("model_base_vqa_capfilt_large.pth",),
        made_for=dict.fromkeys(("color", "shape", "texture", "complex"), "the questions (BLIP-VQA)"),
        host="storage.googleapis.com/sfr-vision-language-research",
        url="https://storage.googleapis.com/sfr-vision-language-research/BLIP/models/model_base_vqa_capfilt_large.pth",
    ),
    OfficialFile(
        key="bert-tokenizer",
        names=("google-bert/bert-base-uncased",),
        made_for=dict.fromkeys(("color", "shape", "texture", "complex"), "the questions' tokenizer"),
        host="huggingface.co, in transformers' layout",
        by_hand="`blip` fetches its tokenizer when it is first used",
        on_hub=True,
    ),
    OfficialFile(
        key="clip-b32",
        names=("openai/clip-vit-base-patch32",),
        made_for=dict.fromkeys(("non_spatial", "complex"), "the cosine (CLIP ViT-B/32)")
        | {"aesthetic": "the tokenizer"},
        host="huggingface.co, in transformers' layout",
        by_hand="the encoder `clip` fetches it when it is first used",
        on_hub=True,
    ),
    OfficialFile(
        key="clip-l14",
        names=("openai/clip-vit-large-patch14",),
        made_for={"geneval": "the colours (CLIP ViT-L/14)"},
        host="huggingface.co, in transformers' layout",
        by_hand="the encoder `clip` fetches it when it is first used",
        on_hub=True,
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
        key="mask2former-3x",
        names=("mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco_20220504_001756-c9d0c4f2.pth",),
        made_for={"geneval": "the detector, re-hosted for mmdet 3.x"},
        host="download.openmmlab.com",
        url=f"{_OPENMMLAB}/v3.0/mask2former/mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco/"
        "mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco_20220504_001756-c9d0c4f2.pth",
        hash_start="c9d0c4f2",
        instead_of="mask2former",
    ),
    OfficialFile(
        key="hps",
        names=("HPS_v2.1_compressed.pt",),
        made_for={"aesthetic": "the reward R_HPS"},
        host="huggingface.co/xswu/HPSv2",
        url="https://huggingface.co/xswu/HPSv2/resolve/main/HPS_v2.1_compressed.pt",
    ),
)
BENCHMARKS = tuple(dict.fromkeys(name for file in FILES for name in file.made_for))


def official_file(key: str) -> OfficialFile:
    """The file of that key; it must exist."""
    return next(file for file in FILES if file.key == key)


def interchangeable(file: OfficialFile) -> tuple[OfficialFile, ...]:
    """The other files that hold the same weights."""
    role = file.instead_of or file.key
    return tuple(other for other in FILES if other.key != file.key and role in (other.key, other.instead_of))


def weights_folder() -> Path:
    """Where files are kept and looked for when nothing else is said: $GOTR1_EVAL_WEIGHTS, or a folder of the cache."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen).expanduser() if chosen else cache_folder("weights")


def find_file(file: OfficialFile, folder: Path) -> Path | None:
    """The file in a folder, under any of its names, or the repository in the hub's cache; None where there is none."""
    if file.on_hub:
        from huggingface_hub import try_to_load_from_cache

        kept = try_to_load_from_cache(file.name, "config.json")
        return Path(kept).parent if isinstance(kept, str) else None
    return next((folder / name for name in file.names if (folder / name).is_file()), None)


def find_interchangeable(file: OfficialFile, folder: Path) -> Path | None:
    """The file, or else one of the same weights; None where there is neither."""
    return next((path for one in (file, *interchangeable(file)) if (path := find_file(one, folder))), None)


def require_file(file: OfficialFile, what: str, given: Path | None) -> Path:
    """The path that a setting gives, or else the file in `weights_folder`.

    Raises:
        UsageError: there is none; says where it was looked for and how to get it.
    """
    if given is not None:
        if not given.expanduser().is_file():
            raise UsageError(f"{what}: no file {given}; expected {file.name} ({how_to_get(file)})")
        return given.expanduser()
    found = find_file(file, weights_folder())
    if found is None:
        raise UsageError(f"{what}: no {file.name} in {weights_folder()}; give its path, or: {how_to_get(file)}")
    return found


def how_to_get(file: OfficialFile, folder: Path | None = None) -> str:
    """The command that brings the file into a folder, the usual one if none is named."""
    usual = weights_folder()
    if not file.url:
        return file.by_hand.format(folder=folder or usual)
    elsewhere = "" if folder in (None, usual) else f" --weights '{folder}'"
    return f"gotr1-eval weights {file.key} --download{elsewhere}"


def file_fault(file: OfficialFile, path: Path) -> str:
    """What is wrong with a file, in words; empty when nothing is, as far as that is known."""
    if file.on_hub:
        return ""
    with path.open("rb") as content:
        begins = content.read(2)
    if not begins.startswith(_CHECKPOINTS):
        return f"no checkpoint: it begins with {begins!r}"
    found = file_sha256(path) if file.hash_start else ""
    return "" if found.startswith(file.hash_start or "") else f"sha256 begins with {found[:8]}, not {file.hash_start}"


def file_sha256(path: Path) -> str:
    """The whole file's sha256 in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
