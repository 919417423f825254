"""Pipelines of diffusers with random weights, small enough for tests: a UNet, a DiT with flow matching, one of T5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from gotr1_eval.models.checkpoint import quiet

SIGNS = [chr(code) for code in range(33, 127)]
CLIP_LENGTH = 77


def clip_tokenizer() -> CLIPTokenizer:
    """Every sign a token of its own."""
    words = [*SIGNS, *(f"{sign}</w>" for sign in SIGNS), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=CLIP_LENGTH)


def t5_tokenizer() -> T5Tokenizer:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -1.0), *((sign, -2.0) for sign in SIGNS)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def clip_text() -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=190, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=CLIP_LENGTH, bos_token_id=188, eos_token_id=189, pad_token_id=189,
        )
    ).eval()  # fmt: skip


def t5_text() -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=98, d_model=16, d_ff=32, d_kv=8, num_layers=2, num_heads=2, dropout_rate=0.0)
    ).eval()


def vae() -> AutoencoderKL:
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    return AutoencoderKL(
        block_out_channels=[8, 16], norm_num_groups=2, latent_channels=4, sample_size=32, shift_factor=0.0, **blocks
    ).eval()


def unet_pipeline(safety_checker: Any = None) -> StableDiffusionPipeline:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=2, cross_attention_dim=16,
        attention_head_dim=2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip
    return StableDiffusionPipeline(
        vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(), unet=unet,
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=safety_checker, requires_safety_checker=safety_checker is not None,
        feature_extractor=None if safety_checker is None else CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
    )  # fmt: skip


def safety_checker(*, flags: bool) -> StableDiffusionSafetyChecker:
    """One that flags every picture, or none."""
    torch.manual_seed(0)
    text = {
        "vocab_size": 99,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    seen = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 16,
    }  # fmt: skip
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=text, vision_config=seen, projection_dim=16)).eval()
    # The cosine to a concept above which a picture is flagged.
    checker.concept_embeds_weights.data.fill_(-2.0 if flags else 2.0)
    checker.special_care_embeds_weights.data.fill_(2.0)
    return checker


def flow_pipeline() -> FluxPipeline:
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=16, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    ).eval()  # fmt: skip
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(),
        text_encoder_2=t5_text(), tokenizer_2=t5_tokenizer(), transformer=transformer,
    )  # fmt: skip


def t5_pipeline() -> PixArtAlphaPipeline:
    torch.manual_seed(0)
    transformer = PixArtTransformer2DModel(
        sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2, caption_channels=16,
        in_channels=4, out_channels=8, cross_attention_dim=16, norm_type="ada_norm_single",
    ).eval()  # fmt: skip
    return PixArtAlphaPipeline(
        tokenizer=t5_tokenizer(), text_encoder=t5_text(), vae=vae(), transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(),
    )  # fmt: skip


PIPELINES = {"unet": unet_pipeline, "flow": flow_pipeline, "t5": t5_pipeline}


CALLS = {"unet": {}, "flow": {}, "t5": {"use_resolution_binning": False}}
"""What the calls of a kind need for pictures as small as these."""


def write_pipeline(pipeline: Any, folder: Path) -> Path:
    """The pipeline's folder, as `save_pretrained` writes it."""
    with quiet():
        pipeline.save_pretrained(folder)
    return folder
