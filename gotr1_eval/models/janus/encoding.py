"""Pictures to the image tokens of a Janus, by the encoder of its picture tokenizer.

A code is the nearest by angle, as the checkpoints' own decoder takes its rows: at unit length.

Shape suffixes: B pictures, C channels, H W and h w pixels and latents, N latent vectors of a batch, K codes, D width of
a code, T tokens of a picture (row-major).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.janus.modeling_janus import JanusVQVAE


@torch.inference_mode()
def encode_pictures(model: JanusVQVAE, pictures_BHWC: Tensor, batch_size: int = 16) -> Tensor:
    """Image tokens of uint8 pictures [B, H, W, 3]; int64 [B, T]."""
    rows = []
    for batch in torch.split(pictures_BHWC, batch_size):
        latents_ND = encode_latents(model, to_pixels(batch))
        rows.append(nearest_codes(latents_ND, model.quantize.embedding.weight).view(len(batch), -1))
    return torch.cat(rows).clone()


def to_pixels(pictures_BHWC: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] in 0..255 -> float32 [B, 3, H, W] in [-1, 1]."""
    # From a permuted layout every convolution runs at half its speed on the CPU.
    return pictures_BHWC.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1.0


def encode_latents(model: JanusVQVAE, pixels_BCHW: Tensor) -> Tensor:
    """The encoder's unit latents, [B * T, D], a picture's rows in row-major order."""
    latents_BDhw = model.quant_conv(model.encoder(pixels_BCHW)).float()
    return functional.normalize(latents_BDhw.permute(0, 2, 3, 1).flatten(0, 2), dim=-1)


def nearest_codes(latents_ND: Tensor, codebook_KD: Tensor) -> Tensor:
    """The id of the code nearest by angle, for every latent; int64 [N]."""
    return (latents_ND @ functional.normalize(codebook_KD, dim=-1).T).argmax(dim=-1)
