"""The first weights of the tiny Emu3: the tiny Janus's, wherever Emu3's classes have the same part.

Both families share most of what they compute:

    picture tokenizer   the same convolutions, norms and attention. Emu3's norms also read the codes, and it has
                        convolutions through time: they begin as what changes nothing
    language model      the same layers; an image token's embedding is a row here, and what two layers make of a
                        code there

The head's rows for image tokens begin as the linear map that comes nearest to Janus's head of two layers; the tokens
that lay out a picture begin at random.

Shape suffixes: T codes with their embeddings, N states, K codes, D width of a state or of a code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Emu3Config, Emu3ForConditionalGeneration, PreTrainedTokenizerFast
from transformers.models.emu3.modeling_emu3 import Emu3VQVAE

from gotr1_eval.core.chain import BEGIN_OF_IMAGE
from gotr1_eval.models.emu3.sequence import BOS, EOS, IMAGE_END, IMAGE_START, PAD, PLACEHOLDER
from gotr1_eval.models.janus import loading as janus_loading
from gotr1_eval.models.janus import sequence as janus_sequence
from gotr1_eval.models.sampled_sequences import left_pad
from training.policies import Sampling
from training.policies.janus import JanusPolicy
from training.tiny.janus import EOS as JANUS_EOS
from training.tiny.shapes_corpus import Example, examples

SAME = {
    BOS: janus_sequence.BOS, EOS: JANUS_EOS, PAD: janus_sequence.PAD, IMAGE_START: BEGIN_OF_IMAGE,
    IMAGE_END: "<end_of_image>", PLACEHOLDER: "<image_placeholder>",
}  # fmt: skip
"""Tokens that mean in an Emu3 what a token of another name means in a Janus."""
RIDGE = 1e-3
"""Weight of small numbers in the linear head, beside the mean square of the states that it reads."""
_MOVED_APART = ("quantize.", "quant_conv.", "post_quant_conv.", "encoder.conv_out.", "decoder.conv_in.weight")


def used_codes(tokenizer: Any) -> int:  # noqa: ANN401 - transformers is untyped
    """Codes of the tiny Janus that a patch has; the rest of its codebook repeats code 0."""
    weight_KD = tokenizer.quantize.embedding.weight
    return int((weight_KD != weight_KD[0]).any(dim=1).nonzero().max()) + 1


def tiny_config(tokenizer: PreTrainedTokenizerFast, janus: Any, codes: int) -> Emu3Config:  # noqa: ANN401
    """Emu3's configuration in the tiny Janus's sizes, without dropout, and with one frame a picture.

    A picture of the released picture tokenizer is four equal frames, and costs four times as much. A latent has one
    number more than the tiny Janus's, which is always 1: what Janus adds there after looking a code up.
    """
    text, vq = janus.config.text_config, janus.config.vq_config
    return Emu3Config(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": text.hidden_size,
            "intermediate_size": text.intermediate_size,
            "num_hidden_layers": text.num_hidden_layers,
            "num_attention_heads": text.num_attention_heads,
            "num_key_value_heads": text.num_key_value_heads,
            "max_position_embeddings": text.max_position_embeddings,
            "rms_norm_eps": text.rms_norm_eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": text.rope_parameters["rope_theta"]},
            "attention_dropout": 0.0,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vq_config={
            "codebook_size": codes,
            "embed_dim": vq.embed_dim + 1,
            "latent_channels": vq.embed_dim + 1,
            "temporal_downsample_factor": 1,
            "base_channels": vq.base_channels,
            "channel_multiplier": list(vq.channel_multiplier),
            "num_res_blocks": vq.num_res_blocks,
            "attn_resolutions": [len(vq.channel_multiplier) - 1],
            "hidden_size": vq.base_channels,
            "num_attention_heads": 1,
        },
        vocabulary_map=tokenizer.get_vocab(),
    )


@torch.no_grad()
def transplanted(
    janus: janus_loading.Checkpoint, tokenizer: PreTrainedTokenizerFast, codes: int, seed: int, fitted_on: int = 256
) -> Any:  # noqa: ANN401
    """An Emu3 with the weights of a Janus wherever it has the same part.

    Args:
        codes: of the picture tokenizer.
        seed: of what begins at random, and of the examples.
        fitted_on: examples whose states the head for image tokens is fitted on.
    """
    torch.manual_seed(seed)
    model = Emu3ForConditionalGeneration(tiny_config(tokenizer, janus.model, codes)).eval()
    move_pictures(janus.model.model.vqmodel, model.model.vqmodel)
    source, target = janus.model.model.language_model, model.model.text_model
    layers = {name: each for name, each in source.state_dict().items() if not name.startswith("embed_tokens")}
    target.load_state_dict({**target.state_dict(), **layers})
    known, vocabulary = janus.tokenizer.get_vocab(), tokenizer.get_vocab()
    rows = {index: known[SAME.get(name, name)] for name, index in vocabulary.items() if SAME.get(name, name) in known}
    ours, theirs = (torch.tensor(list(part)) for part in (rows, rows.values()))
    target.embed_tokens.weight[ours] = source.embed_tokens.weight[theirs]
    model.lm_head.weight[ours] = janus.model.lm_head.weight[theirs]
    image_TD = janus.model.prepare_embeddings_for_image_generation(torch.arange(codes)[None])[0]
    first = vocabulary["<|visual token 000000|>"]
    target.embed_tokens.weight[first:] = image_TD
    model.lm_head.weight[first:] = linear_image_head(janus, image_TD, list(examples(fitted_on, seed)))
    return model


@torch.no_grad()
def linear_image_head(janus: janus_loading.Checkpoint, image_TD: Tensor, corpus: Sequence[Example]) -> Tensor:
    """Weights [K, D] whose logits are nearest to those of Janus's image head, over states of these examples.

    Logits are compared without their mean, which no softmax sees: the head of an Emu3 has no bias.

    Args:
        image_TD: embeddings of the codes.
    """
    policy = JanusPolicy(janus, Sampling(guidance=1.0))
    pictures = torch.from_numpy(np.stack([each.picture for each in corpus]))
    ids_BT = policy.picture_encoder()(pictures)
    texts = [
        [*prompt, *policy.encode_chain(each.chain)]
        for prompt, each in zip(policy.encode([each.prompt for each in corpus]), corpus, strict=True)
    ]
    text = left_pad(texts, policy.pad)
    states_ND = policy.hidden_states(text, ids_BT)[:, -ids_BT.shape[1] :].flatten(0, 1)
    logits_NK = policy.image_head()(states_ND)[:, : len(image_TD)]
    ridge = RIDGE * len(states_ND) * states_ND.square().mean()
    products_DD = states_ND.T @ states_ND + ridge * torch.eye(states_ND.shape[1])
    targets_NK = logits_NK - logits_NK.mean(dim=1, keepdim=True)
    fitted_DK: Tensor = torch.linalg.solve(products_DD, states_ND.T @ targets_NK)
    return fitted_DK.T


@torch.no_grad()
def move_pictures(janus: Any, emu3: Emu3VQVAE) -> None:  # noqa: ANN401
    """Make Emu3's picture tokenizer compute what a Janus's does, code by code and pixel by pixel."""
    state, last = emu3.state_dict(), len(janus.config.channel_multiplier) - 1
    for name, tensor in janus.state_dict().items():
        if not name.startswith(_MOVED_APART):
            renamed = _emu3_name(name, last)
            state[renamed] = tensor.reshape(state[renamed].shape)
    codes, width = emu3.config.codebook_size, janus.config.embed_dim
    state["quantize.embedding.weight"][:, :width] = janus.quantize.embedding.weight[:codes]
    state["quantize.embedding.weight"][:, width] = 1.0
    # What Janus has between its latents and its codes is linear, and goes into the convolution beside it.
    inner, outer = janus.quant_conv, janus.encoder.conv_out
    state["encoder.conv_out.weight"].zero_()[:width] = torch.einsum(
        "oi,i...->o...", inner.weight[:, :, 0, 0], outer.weight
    )
    state["encoder.conv_out.bias"].fill_(1.0)[:width] = inner.weight[:, :, 0, 0] @ outer.bias + inner.bias
    inner = torch.cat([janus.post_quant_conv.weight[:, :, 0, 0], janus.post_quant_conv.bias[:, None]], dim=1)
    state["decoder.conv_in.weight"].copy_(torch.einsum("oi...,id->od...", janus.decoder.conv_in.weight, inner))
    for name, tensor in state.items():
        _begin_as_nothing(name, tensor)
    emu3.load_state_dict(state)


def _emu3_name(name: str, last: int) -> str:
    """What Emu3 calls a tensor of Janus's picture tokenizer; it counts the decoder's blocks the other way round."""
    name = re.sub(r"^encoder\.down\.(\d)\.attn\.(\d)\.norm\.", r"encoder.down_block.down.\1.attn_norms.\2.", name)
    name = re.sub(r"^encoder\.down\.", "encoder.down_block.down.", name)
    name = re.sub(r"^decoder\.up\.(\d)\.", lambda found: f"decoder.up_block.up.{last - int(found[1])}.", name)
    name = re.sub(r"(up\.\d)\.attn\.(\d)\.norm\.", r"\1.attn_norms.\2.", name)
    name = name.replace(".mid.attn_1.norm.", ".middle_block.attn_norm.").replace(".mid.", ".middle_block.")
    name = re.sub(r"\.(q|k|v)\.(weight|bias)$", r".\1_proj.\2", name).replace(".proj_out.", ".out_proj.")
    if name.startswith("decoder."):
        name = re.sub(r"\.(norm1|norm2|attn_norm|attn_norms\.\d|norm_out)\.", r".\1.norm_layer.", name)
    return name


def _begin_as_nothing(name: str, tensor: Tensor) -> None:
    """First values of what Janus has not: the reading of codes by norms, and all that runs through time."""
    if ".conv_y." in name or ".conv_b." in name:
        tensor.fill_(1.0 if name.endswith("conv_y.bias") else 0.0)
    elif "time_res_stack" in name and ".conv2." in name:
        tensor.zero_()
    elif name in ("quant_conv.conv.weight", "post_quant_conv.conv.weight"):
        tensor.zero_()[:, :, -1, 0, 0] = torch.eye(len(tensor))
    elif name in ("quant_conv.conv.bias", "post_quant_conv.conv.bias"):
        tensor.zero_()
