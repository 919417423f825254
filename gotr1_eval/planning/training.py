"""What a step of GRPO takes: the rollout, its judges, and the update (paper section 4)."""

from __future__ import annotations

from gotr1_eval.planning import flops
from gotr1_eval.planning.assumptions import Assumptions, Gpu
from gotr1_eval.planning.phases import Phase, reading, writing
from gotr1_eval.planning.sizes import PainterSize


def rollout(size: PainterSize, samples: int, gpus: int, gpu: Gpu, given: Assumptions) -> list[Phase]:
    """Chains, image tokens and pixels of a step's samples, over so many GPUs."""
    text, batch = size.language, min(given.tile, samples / gpus)
    rows = 2 if given.guided else 1
    before = given.prompt_tokens + given.chain_tokens
    weights = flops.language_weights(text)
    chains = writing(
        "chains", text, weights, rows=samples, batch=batch, new=given.chain_tokens, past=given.prompt_tokens,
        extra=0.0, gpu=gpu, given=given,
    )  # fmt: skip
    token = flops.image_head(size, 1) + flops.image_embedding(size, 1)
    painting = text.layers * flops.layer_weights(text) + text.width * (text.width + size.codes)
    images = writing(
        "image tokens", text, painting, rows=rows * samples, batch=rows * batch, new=size.tokens, past=before,
        extra=token, gpu=gpu, given=given, head=False,
    )  # fmt: skip
    read = samples * (flops.language(text, given.prompt_tokens) + rows * flops.language(text, before))
    return [
        reading("prompts and chains, read", read, gpu, given.read_share),
        chains,
        images,
        reading("pixels", samples * size.decode_flops, gpu, given.read_share),
    ]


def forward_flops(size: PainterSize, given: Assumptions) -> float:
    """One scoring pass over a sample: chain and picture in one sequence, the unconditional row beside it."""
    text, rows = size.language, 2 if given.guided else 1
    length = given.prompt_tokens + given.chain_tokens + size.tokens - 1
    heads = flops.head(text, given.chain_tokens) + rows * flops.image_head(size, size.tokens)
    return rows * (flops.language(text, length) + flops.image_embedding(size, size.tokens - 1)) + heads


def update(size: PainterSize, samples: int, gpu: Gpu, given: Assumptions) -> list[Phase]:
    """The passes over a rollout: reference, old scores where there are several updates, and the updates."""
    each = samples * forward_flops(size, given)
    before = (1 if given.reference else 0) + (1 if given.updates > 1 else 0)
    scoring = [reading("reference, old scores", before * each, gpu, given.train_share)] if before else []
    return [*scoring, reading("updates", given.updates * (1 + given.backward) * each, gpu, given.train_share)]


def sampling_memory(size: PainterSize, samples: int, gpus: int, given: Assumptions) -> float:
    """Bytes on one GPU while it samples: weights, and the caches of a tile's rows at full length."""
    rows = (2 if given.guided else 1) * min(given.tile, samples / gpus)
    length = given.prompt_tokens + given.chain_tokens + size.tokens
    cache = rows * length * flops.cache_bytes(size.language, given.weight_bytes)
    return flops.painter_weights(size) * given.weight_bytes + cache
