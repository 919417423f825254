"""The benchmarks' prompt lists and metadata: whose they are, at which commit, and whether they are on this machine.

Nothing of them is part of this project. They are fetched once from their authors' repositories at a pinned commit, so
that everybody's run stands on the same prompts, checked against the hashes below, and read from the cache ever after.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gotr1_eval.core.errors import UsageError, nearest_name
from gotr1_eval.files.downloading import cache_folder, download

MIRROR_VARIABLE = "GOTR1_DATA_MIRROR"
ORIGIN = "https://raw.githubusercontent.com"
"""Answers ``<base>/<repository>/<commit>/<path>``, as every mirror must that the variable names."""

# fmt: off
_COMPBENCH = {
    "examples/dataset/color_val.txt": "1634259756dbc77d13093d907d414480080ec9790a8c97ad09efaea7b2534f2d",
    "examples/dataset/shape_val.txt": "37e1a276906c7ea9516cbd7ac8501be896006c0c17ca7344f260562834455bae",
    "examples/dataset/texture_val.txt": "fbb5363515b4a28009e360afaaaf389d2dd2289e50dbb0c6ef4ea0c7fe4f3d4f",
    "examples/dataset/spatial_val.txt": "8707a1d7e42ce3002d95363cf55f74bd043c843ae27108f5125aaaa7840ca988",
    "examples/dataset/3d_spatial_val.txt": "c9953597315f36a5fcb41291bb19bdc6ab5f64a0fa760d691b4854a73f5d1fe9",
    "examples/dataset/non_spatial_val.txt": "04c56cc9ac441dc9ea6c5157652058bd1635b5308526dd31bb29a1caab9a758d",
    "examples/dataset/numeracy_val.txt": "dad8df141604b70ba7554bec724e3db0a80023680769b5c514854ea2d2527bbe",
    "examples/dataset/complex_val.txt": "1b808018b8d9916db3d47d5aa2ef18377a3549a56901a474156f799824cdf3b4",
    "examples/dataset/color_train.txt": "db5d3287027d453f8c977f0c7315f8a01a770f02f61fa54ae19406762982393f",
    "examples/dataset/shape_train.txt": "451bdfccd330d4cf979d45664817be7959e89250b93d5c591cc562b858175a87",
    "examples/dataset/texture_train.txt": "4846315c5972f9e9cc82e4833099e8ec2c28b999ca77269512715f3f56bde54f",
    "examples/dataset/spatial_train.txt": "af14cdf2320057d98f94077e6211c2ddfaabfbb9e3842873657baabb17e00de6",
    "examples/dataset/3d_spatial_train.txt": "0bba7e9ad31b0ce7908f6cbf2426a4b7ef6e8b841c1b737d0ad2d5b8e688dd93",
    "examples/dataset/non_spatial_train.txt": "dbac5a9ec83204dcd0c3538a12d3212e2ce66db6f7ba45b49a1d869b2d3f2430",
    "examples/dataset/numeracy_train.txt": "f66bb8708cb0be23c0406e14d892b25661b2b71e3e72abddc79c38466ab629c6",
    "examples/dataset/complex_train.txt": "d214ac45cb3c5307dd14a144c8c69aa5ffdcc7be74ff71b5dac989f8ca9f924b",
    "examples/dataset/complex_val_spatial.txt": "6c7ac0ab75c7c9080cfc7b421fb059b9b0febb98471707aeedf58771088abc02",
    "examples/dataset/complex_val_action.txt": "d49ee4c7f99e3f3379fb8704a54ff5288b83bb412971edf616a4721c2473308e",
    "examples/dataset/new_objects.txt": "f39a3d2ff6067d7738673cbf465dc659ccc750776162989a5d9916f1d5f3e231",
    "License.txt": "905b2fb8de6611b855171c41985efc7a36698016c083f1b39485a6f9e9d4ae00",
}
_GENEVAL = {
    "prompts/evaluation_metadata.jsonl": "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13",
    "LICENSE": "e6082bfcbdf460dd19f8c55cc261055414df2a278768b4991c5382d65be2b52a",
}
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicData:
    """What one benchmark needs of its authors' repository.

    Attributes:
        key: the benchmark's suite.
        what: the files in words.
        files: path in the repository -> sha256. The last parts of the paths are the names in `folder`.
    """

    key: str
    what: str
    repository: str
    commit: str
    licence: str
    files: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Where the files are kept; another commit has another folder."""
        return cache_folder("data") / f"{self.key}-{self.commit[:12]}"

    @property
    def missing(self) -> list[str]:
        """Paths of the files that are not in `folder`, or not as they were published."""
        return [path for path, expected in self.files.items() if hash_fault(self.place(path), expected)]

    def place(self, path: str) -> Path:
        """Where a file of the repository is kept."""
        return self.folder / Path(path).name

    def url(self, path: str) -> str:
        """Its address, at $GOTR1_DATA_MIRROR where that is set."""
        base = os.environ.get(MIRROR_VARIABLE) or ORIGIN
        return f"{base.rstrip('/')}/{self.repository}/{self.commit}/{path}"


DATA = (
    PublicData(
        key="t2i-compbench",
        what="val and train prompts of eight categories, the lists of complex prompts, numeracy's vocabulary",
        repository="Karine-Huang/T2I-CompBench",
        commit="1b7094991a57f3c22abdd4f6e8ba6c1a15517073",
        licence="MIT",
        files=_COMPBENCH,
    ),
    PublicData(
        key="geneval",
        what="553 prompts with what each asks for",
        repository="djghosh13/geneval",
        commit="af4902f24d3ca90ebbb446dd9891a59e0f82725f",
        licence="MIT",
        files=_GENEVAL,
    ),
)


def public_data(key: str) -> PublicData:
    """The data of that benchmark.

    Raises:
        UsageError: there is none.
    """
    keys = [data.key for data in DATA]
    if key not in keys:
        raise UsageError(f"no data set named {key!r}{nearest_name(key, keys)} (known: {', '.join(keys)})")
    return DATA[keys.index(key)]


def hash_fault(path: Path, expected: str) -> str:
    """What is wrong with a file in words: it is not there, or another one; empty when it is the one expected."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if found == expected else f"sha256 is {found[:12]}..., expected {expected[:12]}..."


def fetch_data(data: PublicData) -> list[str]:
    """Bring what is missing of a benchmark's data; each file appears only when it is whole and right.

    Returns:
        The paths that were brought.

    Raises:
        UsageError: the cache cannot be written.
        BackendError: no answer, no such file, or another file than expected.
    """
    missing = data.missing
    for path in missing:
        download(data.url(path), data.place(path), partial(hash_fault, expected=data.files[path]))
    return missing


def require_data(key: str, given: Path | None) -> Path:
    """The folder that the user gives, or else the one in the cache, whole and checked.

    Raises:
        UsageError: nothing is given and the cache lacks a file; says how to get it.
    """
    if given is not None:
        return given
    data = public_data(key)
    if missing := data.missing:
        raise UsageError(
            f"{key}: {len(missing)} of its {len(data.files)} files are not in {data.folder}; run "
            f"`gotr1-eval data fetch {key}` once, or name a copy of your own with --data DIR"
        )
    return data.folder
