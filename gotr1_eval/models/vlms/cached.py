"""Another language-vision model, with its replies kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gotr1_eval.core.forms import constrains
from gotr1_eval.core.outcome import Reply, Unscored
from gotr1_eval.core.protocols import Request, Vlm, Workshop
from gotr1_eval.core.types import Json
from gotr1_eval.files.reply_cache import ReplyCache, request_key
from gotr1_eval.settings import Component
from gotr1_eval.settings import Settings as StrictSettings


class Settings(StrictSettings):
    """Which model, and where its replies are kept.

    Attributes:
        vlm: the model, ``{use = "qwen", ...}``.
        path: the file; made where there is none, shared by any number of models and processes.
    """

    vlm: Component
    path: Path


class CachedVlm:
    """Answers from disk what has been answered before; see `gotr1_eval.core.protocols.Vlm`.

    Failures are never kept. A re-ask (a request with earlier rounds) and a repeat are always asked anew and not kept:
    both exist to hear the model once more.

    Attributes:
        vlm: the other model.
        hits: replies that came from disk so far.
    """

    def __init__(self, vlm: Vlm, path: Path, constrained: Json = "auto") -> None:
        """Raises DataError when there is such a file and it is no cache of replies.

        Args:
            constrained: the model's own setting.
        """
        self.vlm = vlm
        self._constrained = constrained
        self._cache = ReplyCache(path)
        self.hits = 0

    @property
    def name(self) -> str:
        """The model's own."""
        return self.vlm.name

    @property
    def fingerprint(self) -> str:
        """The model's own: where a reply was kept does not change it."""
        return self.vlm.fingerprint

    @property
    def scores_choices(self) -> bool:
        """The model's own."""
        return self.vlm.scores_choices

    def constrains(self) -> bool:
        """Whether the model's answers are made to follow a form; what a server was found to do is kept, too.

        Where it has changed since, the model itself says so at the first question that is not on disk.
        """
        if self._constrained != "auto":
            return constrains(self.vlm)
        key = request_key(f"{self.fingerprint}, constrains", Request(prompt=""))
        if key not in (known := self._cache.get([key])):
            known = {key: Reply(text=str(constrains(self.vlm)), model=self.name)}
            self._cache.put(known)
        return known[key].text == str(True)

    def box_frame(self, size: tuple[int, int]) -> tuple[float, float]:
        """The model's own."""
        return self.vlm.box_frame(size)

    def reply(self, requests: Sequence[Request]) -> list[Reply | Unscored]:
        """One reply a request, in order; the model is asked once for all that is not on disk."""
        fingerprint = self.fingerprint
        keys = [request_key(fingerprint, request) if _may_be_kept(request) else None for request in requests]
        known = self._cache.get([key for key in keys if key is not None])
        open_ = [place for place, key in enumerate(keys) if key is None or key not in known]
        asked = dict(zip(open_, self.vlm.reply([requests[place] for place in open_]), strict=True)) if open_ else {}
        self._cache.put(
            {
                key: reply
                for place, reply in asked.items()
                if isinstance(reply, Reply) and (key := keys[place]) is not None
            }
        )
        self.hits += len(requests) - len(open_)
        return [asked[place] if place in asked else known[str(key)] for place, key in enumerate(keys)]


def _may_be_kept(request: Request) -> bool:
    return not request.followups and request.repeat == 0


def build(settings: Settings, workshop: Workshop) -> CachedVlm:
    """The model of the settings, built by the workshop, behind its cache."""
    return CachedVlm(workshop.vlm(settings.vlm), settings.path, settings.vlm.get("constrained", "auto"))
