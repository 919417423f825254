"""Names that never change: sample ids, seeds, safe file names, fingerprints."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from gotr1_eval.core.types import Json

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def utf8(text: str) -> bytes:
    """The text in UTF-8 for a digest; halves of characters, from file names and JSON, are encoded as well."""
    return text.encode("utf-8", "surrogatepass")


def encodable(text: str) -> str:
    """The text with a question mark for each half of a character, for formats that hold UTF-8 alone."""
    return text.encode("utf-8", "replace").decode("utf-8")


def sample_id(suite: str, category: str, prompt_index: int, image_index: int) -> str:
    """``<suite>/<category>/<prompt index>/<image index>``, fixed before any limit or shard is applied."""
    return f"{suite}/{category}/{prompt_index:05d}/{image_index}"


def sample_seed(run_seed: int, sample: str) -> int:
    """The sample's own seed, in [0, 2**64): the first 8 bytes of sha256(run seed, id)."""
    digest = hashlib.sha256(utf8(f"{run_seed}\n{sample}")).digest()
    return int.from_bytes(digest[:8], "big")


def safe_name(text: str, limit: int = 60) -> str:
    """A file name for any text: letters, digits, dot, dash, underscore; a hash where something was lost."""
    slug = _UNSAFE.sub("-", text).strip("-.")[:limit]
    if slug and slug == text:
        return slug
    digest = hashlib.sha256(utf8(text)).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else digest


def fingerprint(facts: Mapping[str, Json]) -> str:
    """16 hex digits that change whenever any of the facts does."""
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
