"""How much goes through the device at once where the settings say "auto": by an estimate, from its free memory.

While sampling, memory goes to the KV cache; in the update to what the layers keep for the backward pass, to a chunk of
logits, and to the gradients and moments of what learns. The estimate leaves a part free, and what still does not fit is
halved as it runs (`training.rollout`, `training.grpo`). On a processor both are fixed numbers, so that a run is the
same on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gotr1_eval.models.autoregressive.decoder import head_width
from gotr1_eval.models.autoregressive.memory import LONGEST_PROMPT, USED, free_bytes
from training.policies import Policy
from training.policies.scoring import CHUNK
from training.settings import GrpoSettings

TILE, MICRO_BATCH = 64, 8
"""On a processor; the tile is also the most on a GPU."""
MOST_SEQUENCES = 32
"""Of one forward pass on a GPU: more would only make activations larger."""
_LOGITS = 4 * 4
"""Bytes of a logit in float32, its log-probability, and the gradients of both."""
_LEARNING = 3 * 4
"""Bytes of a learned number's gradient and its two moments, in float32."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the estimate needs of a policy.

    Attributes:
        width, inner, keys: of the language model, of its feed-forward layers, and of keys (as of values).
        words: of the vocabulary.
        codes: image tokens of a picture.
        learned: numbers that learn on this process.
    """

    layers: int
    width: int
    inner: int
    keys: int
    words: int
    codes: int
    learned: int

    @classmethod
    def of(cls, policy: Policy) -> Sizes:
        """Of a policy whose weights have been told whether they learn."""
        config: Any = policy.language_model.config
        learned = sum(each.numel() for each in policy.parameters() if each.requires_grad)
        keys = config.num_key_value_heads * head_width(config)
        return cls(
            config.num_hidden_layers, config.hidden_size, config.intermediate_size, keys, config.vocab_size,
            policy.grid.tokens, learned,
        )  # fmt: skip


def fitted(settings: GrpoSettings, policy: Policy, processes: int = 1, free: int | None = None) -> tuple[int, int]:
    """(tile, micro-batch): the settings' own numbers, and for "auto" what fits.

    Args:
        policy: on its device, whole; judges that are loaded later have to find room in what is left.
        processes: that share the weights which learn; 1 where each has a copy.
        free: bytes that are free on the device; None asks it, and takes the fixed numbers on a processor.
    """
    if free is None and policy.model.device.type == "cuda":
        free = free_bytes(policy.model.device)
    tile, micro_batch = settings.sampling.tile, settings.micro_batch
    if free is None:
        whole_chains = max(TILE, settings.pictures_per_chain)
        return whole_chains if tile == "auto" else tile, MICRO_BATCH if micro_batch == "auto" else micro_batch
    sizes = Sizes.of(policy)
    return (
        fitting_tile(settings, sizes, free) if tile == "auto" else tile,
        fitting_micro_batch(settings, sizes, free, processes) if micro_batch == "auto" else micro_batch,
    )


def fitting_tile(settings: GrpoSettings, sizes: Sizes, free: int) -> int:
    """Samples whose KV cache fits; whole chains, at least one."""
    rows = 2 if settings.sampling.guidance > 1 else 1
    position = 2 * sizes.layers * sizes.keys * _bytes(settings)
    fit = int(USED * free) // (rows * _tokens(settings, sizes) * position)
    per_chain = settings.pictures_per_chain
    return max(per_chain, min(fit, TILE) // per_chain * per_chain)


def fitting_micro_batch(settings: GrpoSettings, sizes: Sizes, free: int, processes: int = 1) -> int:
    """Sequences whose backward pass fits, at least one."""
    learning = sizes.learned * _LEARNING // processes
    logits = CHUNK * sizes.words * _LOGITS
    both = settings.sampling.guidance > 1 and settings.image_logprob == "guided"
    sequence = (2 if both else 1) * _tokens(settings, sizes) * kept_bytes(settings, sizes)
    fit = (int(USED * free) - learning - logits) // sequence
    return max(1, min(fit, MOST_SEQUENCES))


def kept_bytes(settings: GrpoSettings, sizes: Sizes) -> int:
    """Bytes that all layers keep of a token for the backward pass, and one layer's beside them while it runs.

    A LLaMA layer keeps four tensors of its feed-forward width, keys and values, and about eleven of the model's width
    (two norms with their float32 forms, queries, attention, and what enters its products); a layer that is run again
    keeps its input alone.
    """
    layer = 4 * sizes.inner + 2 * sizes.keys + 11 * sizes.width
    kept = sizes.width if settings.gradient_checkpointing else layer
    return (sizes.layers * kept + layer) * _bytes(settings)


def least(everyone: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """What fits on all processes."""
    return min(tile for tile, _ in everyone), min(micro_batch for _, micro_batch in everyone)


def _tokens(settings: GrpoSettings, sizes: Sizes) -> int:
    return LONGEST_PROMPT + settings.sampling.chain_cap + sizes.codes


def _bytes(settings: GrpoSettings) -> int:
    return 4 if settings.all_float32 else 2
