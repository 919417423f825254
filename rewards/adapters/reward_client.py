"""A client of the reward server (`gotr1-eval serve`). It needs Pillow alone: this file may be copied to any trainer."""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from PIL import Image


class RewardClient:
    """Rewards from a server; refused at once where they cannot be had.

    Args:
        url: such as ``http://127.0.0.1:8780``.
        rewards: names; none for the server's own headline.
        sends: what every call will bring: "picture", "chain", names of facts. A reward that needs more is refused.
        token: of the server, where it has one.
        scorer_version: refuses a server that scores otherwise; None takes the present one, and holds on to it.
        seconds: that an answer may take.

    Raises:
        ValueError: the server does not serve this, or the reward needs what is not sent.
        OSError: no server answers.
    """

    def __init__(
        self, url: str, rewards: Sequence[str] = (), *, sends: Collection[str], token: str | None = None,
        scorer_version: str | None = None, seconds: float = 330.0,
    ) -> None:  # fmt: skip
        self._url, self._seconds = url.rstrip("/"), seconds
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.served = self._post("/handshake", {"required_rewards": list(rewards), "scorer_version": scorer_version})
        if not rewards and self.served["headline"] is None:
            raise ValueError(f"{url} has no total; name rewards: {', '.join(self.served['rewards'])}")
        self.rewards = list(rewards) or [self.served["headline"]]
        for name in self.rewards:
            needs = self.served["details"][name]
            wanted = {what for what in ("chain", "picture") if needs[what]} | set(needs["facts"])
            if missing := sorted(wanted - set(sends)):
                raise ValueError(f"the reward {name!r} needs {', '.join(missing)} of every sample, which is not sent")

    def score(
        self, prompts: Sequence[str], images: Sequence[Image.Image | None] | None = None,
        chains: Sequence[str | None] | None = None, facts: Sequence[Mapping[str, Any] | None] | None = None,
    ) -> list[dict[str, float | None]]:  # fmt: skip
        """Every reward of every sample; None (or the server's stand-in) where it is unscored.

        Raises:
            RuntimeError: the server calls a sample's outcome an error: a judge failed, the sample is damaged, or it was
                started with ``--unscored error``.
        """
        none = [None] * len(prompts)
        rows = [
            {"history": [{"text": prompt, "image_b64": image and encode(image)}], "required_rewards": self.rewards,
             "chain": chain, "facts": known, "scorer_version": self.served["scorer_version"]}
            for prompt, image, chain, known in zip(
                prompts, images or none, chains or none, facts or none, strict=True)
        ]  # fmt: skip
        answer = self._post("/score", {"requests": rows})
        for at, errors in enumerate(answer["errors"]):
            if errors:
                raise RuntimeError(f"sample {at} is unscored: {errors}")
        return [{name: row.get(name, {}).get("value") for name in self.rewards} for row in answer["results"]]

    def _post(self, path: str, content: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        request = urllib.request.Request(self._url + path, json.dumps(content).encode(), self._headers)
        while True:
            try:
                # No proxy: reward servers stand in the same network.
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                with opener.open(request, timeout=self._seconds) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    raise ValueError(f"{self._url}{path}: {error.code}: {error.read(1_000).decode()}") from None
                time.sleep(float(error.headers.get("Retry-After", 1)))


def encode(image: Image.Image) -> str:
    """The picture as PNG, without loss, in base64."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()
