"""What the reward server says and understands, as its /openapi.json describes it.

``POST /score`` speaks the protocol of the reward service of Tencent-Hunyuan/UniRL, version "1" (unirl-reward-service at
cb03dcd, reward_service/schemas.py): a row a sample. ``POST /`` takes a batch in columns, in the fields that the clients
of flow_grpo send to their servers (ac4c86e, flow_grpo/rewards.py), as JSON instead of a pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from gotr1_eval.core.types import Json
from rewards.reward_set import UnscoredAs

PROTOCOL = "1"
MOST_REWARDS = 64
MOST_IDENTITY = 1_000
"""Characters of a value that is echoed."""
IDENTITY = ("request_id", "sample_id", "group_id", "source_rank", "policy_version", "scorer_version", "idempotency_key")
_CHAIN = "A cat (0,400),(200,600) and a dog (800,400),(1000,600)"
_PROMPT = "a cat on the left of a dog"
_VERSION = "the server's own, 16 hex digits that change whenever a score could"
_Echo = StrictStr | StrictInt | StrictFloat | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a server was started with, as far as its clients must know.

    Attributes:
        served: the rewards by name.
        headline: the one that a batch in columns is scored by; None where none is.
        scorer_version: the reward set's own fingerprint; a request that asks for another one is refused.
        unscored: what is said of samples that are not scored.
        metadata_is: name of the fact that a whole ``metadata`` object is; None where it holds facts by name.
    """

    served: tuple[str, ...]
    headline: str | None
    scorer_version: str
    unscored: UnscoredAs = "error"
    metadata_is: str | None = None


def _const(value: Json) -> Callable[[dict[str, Any]], None]:
    """Makes a field's schema one that admits this value alone."""

    def change(schema: dict[str, Any]) -> None:
        for key in ("type", "anyOf"):
            schema.pop(key, None)
        schema["const"] = value

    return change


class Turn(BaseModel):
    """One entry of a history; other keys that name a picture or a video are not opened, and an error of the row."""

    model_config = ConfigDict(extra="allow")

    text: str = Field(description="The prompt.")
    # As bytes, because one foreign character would make a string four times as large.
    image_b64: bytes | None = Field(
        None,
        description="The picture in base64 (PNG, JPEG, WebP, GIF, BMP or TIFF), or a data URL that holds it.",
        json_schema_extra={"anyOf": [{"type": "string", "contentEncoding": "base64"}, {"type": "null"}]},
    )


class ScoreItem(BaseModel):
    """One sample to be judged. Unknown keys are ignored."""

    model_config = ConfigDict(extra="allow")

    history: list[Turn] = Field(min_length=1, description="The last entry is judged.")
    required_rewards: list[str] = Field(min_length=1, max_length=MOST_REWARDS, description="Names of /rewards.")
    chain: str | None = Field(None, description="The reasoning text that the policy wrote; also as metadata.chain.")
    metadata: dict[str, Any] | None = Field(None, description="Facts about the prompt, by name.")
    facts: dict[str, Any] | None = Field(None, description="As metadata, and before it.")
    request_id: _Echo = Field(None, description="Echoed, as are the following.")
    sample_id: _Echo = None
    group_id: _Echo = None
    source_rank: _Echo = None
    policy_version: _Echo = None
    scorer_version: _Echo = Field(None, description=f"Another one than {_VERSION} is refused.")
    idempotency_key: _Echo = None


class ScoreRequest(BaseModel):
    """The body of ``POST /score``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "protocol_version": PROTOCOL,
                "requests": [
                    {
                        "history": [{"text": _PROMPT}], "required_rewards": ["geometric"], "request_id": "7",
                        "metadata": {"chain": _CHAIN},
                    }
                ],
            }
        },
    )  # fmt: skip

    requests: Annotated[list[ScoreItem], FailFast()]
    protocol_version: str = Field(PROTOCOL, json_schema_extra=_const(PROTOCOL))
    grad_mode: bool = Field(
        False, description="UniRL's scoring with gradients; refused.", strict=True, json_schema_extra=_const(False)
    )
    call_id: str | None = Field(None, description="Of a grad_mode; refused.", json_schema_extra=_const(None))


def _entries(given: object) -> object:
    """Metadata as a list: clients that have none send an empty object."""
    return [] if given == {} else given


class BatchRequest(BaseModel):
    """The body of ``POST /``: one entry a sample in each column."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"prompts": [_PROMPT], "chains": [_CHAIN]}},
    )

    prompts: Annotated[list[str], FailFast()]
    images: Annotated[list[bytes | None], FailFast()] = Field(
        [],
        description="Pictures in base64.",
        json_schema_extra={"items": {"type": ["string", "null"]}},
    )
    metadata: Annotated[list[dict[str, Any] | None], FailFast(), BeforeValidator(_entries)] = Field(
        [],
        validation_alias=AliasChoices("metadata", "meta_datas", "metadatas"),
        description="Facts about each prompt, by name; {} is none. Also called meta_datas or metadatas.",
        json_schema_extra={
            "type": ["array", "object"], "items": {"type": ["object", "null"]}, "maxProperties": 0,
        },
    )  # fmt: skip
    chains: Annotated[list[str | None], FailFast()] = Field([], description="Also as metadata[i].chain.")
    reward: str | None = Field(None, description="By default the total, or the only judge.")
    only_strict: bool = Field(
        False, strict=True, description="Changes nothing: which form a verdict has is the judge's setting."
    )
    scorer_version: str | None = Field(None, description=f"Another one than {_VERSION} is refused.")


class HandshakeRequest(BaseModel):
    """The body of ``POST /handshake``; UniRL proposes a transport, other clients what they were made for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"required_rewards": ["geometric"]}})

    fingerprint: dict[str, str] = Field(default_factory=dict, description="Of UniRL's data plane; ignored.")
    proposed_transport: str = Field("http", description="Any other is declined.")
    protocol_version: str = Field(PROTOCOL, json_schema_extra=_const(PROTOCOL))
    scorer_version: str | None = Field(None, description="Refused where it is another one.")
    required_rewards: list[str] = Field([], max_length=MOST_REWARDS, description="Refused where one is not served.")


class Refusal(BaseModel):
    """Why a request was not answered."""

    detail: str


class ServedReward(BaseModel):
    """One reward, and what its rows must bring."""

    judge: str = Field(description="The full name: model, mode, semantics.")
    range: tuple[float | None, float | None] = Field(description="Lowest and highest value; null where unbounded.")
    chain: bool = Field(description="Whether a row without a chain stays unscored.")
    picture: bool = Field(description="Whether a row without a picture stays unscored.")
    facts: list[str] = Field(description="Facts of the prompt without which a row stays unscored.")
    may_not_apply: bool = Field(description="Whether it says nothing about some prompts.")


class Served(BaseModel):
    """What the server serves."""

    rewards: list[str]
    headline: str | None = Field(description="What POST / scores by; null where it must be named.")
    details: dict[str, ServedReward]
    protocol_version: str
    scorer_version: str
    unscored: UnscoredAs


class HandshakeAnswer(Served):
    """What the server serves, and UniRL's own fields."""

    fingerprint: dict[str, str]
    accepted_transport: str
    reason: str


class Health(BaseModel):
    """That the server lives, and what it serves."""

    status: str
    rewards: dict[str, list[str]]
    protocol_version: str
    scorer_version: str


class Identity(BaseModel):
    """What the row brought along, and the version that scored it."""

    request_id: _Echo
    sample_id: _Echo
    group_id: _Echo
    source_rank: _Echo
    policy_version: _Echo
    scorer_version: str
    idempotency_key: _Echo


class ScoreAnswer(BaseModel):
    """One entry a row in every list.

    `scored` has every reward that was asked for. `results` has those with a number: a score, or the stand-in. `reasons`
    says of each reward that is not scored why. `errors` repeats it where that is no answer: always for what is wrong
    with the row and for a judge that failed, and with unscored "error" for everything.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "protocol_version": PROTOCOL, "scorer_version": "0123456789abcdef", "unscored": "error",
                "results": [{"geometric": {"value": 1.0}}], "errors": [{}], "scored": [{"geometric": True}],
                "parts": [{"geometric": {"1: left of": 1.0}}], "reasons": [{}],
                "identities": [
                    {key: {"request_id": "7", "scorer_version": "0123456789abcdef"}.get(key) for key in IDENTITY}
                ],
            }
        }
    )  # fmt: skip

    protocol_version: str
    scorer_version: str
    unscored: UnscoredAs = Field(description="The choice that the server was started with.")
    results: list[dict[str, dict[str, float]]]
    errors: list[dict[str, str]]
    scored: list[dict[str, bool]]
    parts: list[dict[str, dict[str, float]]] = Field(description="What a score was made of; varies by sample.")
    reasons: list[dict[str, str]]
    identities: list[Identity]


class BatchAnswer(BaseModel):
    """One entry a sample in every list."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "scorer_version": "0123456789abcdef", "unscored": "error", "reward": "geometric", "scores": [1.0],
                "scored": [True], "parts": [{"1: left of": 1.0}], "reasons": [""],
            }
        }
    )  # fmt: skip

    scorer_version: str
    unscored: UnscoredAs
    reward: str | None = Field(description="What the scores are; null of no samples where none is named.")
    scores: list[float | None] = Field(description="Null where the server omits what is unscored.")
    scored: list[bool]
    parts: list[dict[str, float]]
    reasons: list[str] = Field(description="Why a sample is unscored; empty where it is scored.")
