"""Floating-point operations of one forward pass: two for each weight that a token meets, and attention's products.

Attention is counted over the whole rectangle of queries and keys, as torch.utils.flop_counter does; norms, softmax and
rotations are left out. Tests hold every function to that counter on small models of the same classes.
"""

from __future__ import annotations

from gotr1_eval.planning.sizes import GeneratorSize, JudgeSize, Language, Tower


def layer_weights(model: Language) -> int:
    """Of the linear layers of one block."""
    keys = 2 * model.width * model.kv_heads * model.head_width
    return 2 * model.width**2 + keys + 3 * model.width * model.inner


def language_weights(model: Language) -> int:
    """Of all blocks and the head; embeddings are looked up, not multiplied."""
    return model.layers * layer_weights(model) + model.width * model.vocabulary


def language(model: Language, new: float, past: float = 0) -> float:
    """Blocks over `new` tokens of one row that attend to `past` earlier ones and to each other, without the head."""
    attention = 4 * model.width * new * (past + new)
    return model.layers * (2 * new * layer_weights(model) + attention)


def decoded(model: Language, new: float, past: float) -> float:
    """Blocks over `new` tokens, one after the other, each attending to all before it and itself."""
    attention = 4 * model.width * (new * past + new * (new + 1) / 2)
    return model.layers * (2 * new * layer_weights(model) + attention)


def head(model: Language, positions: float) -> float:
    """The language head at so many positions."""
    return 2 * positions * model.width * model.vocabulary


def image_head(size: GeneratorSize, positions: float) -> float:
    """The head over the codes: through a layer as wide as the model."""
    width = size.language.width
    return 2 * positions * (width * width + width * size.codes)


def image_embedding(size: GeneratorSize, tokens: float) -> float:
    """A code's vector widened to the model's width."""
    width = size.language.width
    return 2 * tokens * (size.code_width * width + (size.align_layers - 1) * width * width)


def tower(model: Tower, side: tuple[int, int], out_width: int) -> float:
    """A picture of so many pixels (multiples of what becomes one token), to tokens of the language model's width."""
    grid = [pixels // model.patch for pixels in side]
    patches, squares = grid[0] * grid[1], 1
    for count in grid:
        whole, rest = divmod(count, model.window)
        squares *= whole * model.window**2 + rest**2
    linear = model.layers * 2 * patches * (4 * model.width**2 + 3 * model.width * model.inner)
    attention = 4 * model.width * (model.full_layers * patches**2 + (model.layers - model.full_layers) * squares)
    embedding = 2 * patches * (3 * 2 * model.patch**2) * model.width
    merged = model.merge**2 * model.width
    merging = 2 * patches / model.merge**2 * (merged * merged + merged * out_width)
    return embedding + linear + attention + merging


def picture_tokens(model: Tower, side: tuple[int, int]) -> int:
    """Tokens of a picture of so many pixels."""
    return side[0] * side[1] // (model.patch * model.merge) ** 2


def judge_weights(size: JudgeSize) -> int:
    """Weights that stay in memory: both parts, and the embeddings beside the head."""
    eyes, text = size.tower, size.language
    seeing = eyes.layers * (4 * eyes.width**2 + 3 * eyes.width * eyes.inner)
    merged = eyes.merge**2 * eyes.width
    return language_weights(text) + text.vocabulary * text.width + seeing + merged * (merged + text.width)


def generator_weights(size: GeneratorSize) -> int:
    """Language model, embeddings and both heads; the picture tokenizer's are a percent of it."""
    text = size.language
    return language_weights(text) + text.vocabulary * text.width + text.width * (text.width + size.codes)


def cache_bytes(model: Language, bytes_each: float = 2) -> float:
    """Keys and values of one token."""
    return 2 * model.layers * model.kv_heads * model.head_width * bytes_each
