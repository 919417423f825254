"""Checkpoints of language-vision models with random weights: the true classes, a few thousand parameters."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
CORPUS = [
    "Is a red circle left of a blue square? Answer in JSON with a score and a reason.",
    '{"score": 10, "reason": ""}',
]
WIDTH = 32


def digit_tokenizer(marks: list[str]) -> Tokenizer:
    """Byte pairs with every digit apart, as Qwen's tokenizer has them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300 + len(marks), special_tokens=marks, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def save_tiny_qwen(folder: Path, kind: str = "qwen2_5_vl") -> Path:
    """A checkpoint folder of the family that config.json's `model_type` names."""
    tokenizer = digit_tokenizer(MARKS)
    ids = {mark: tokenizer.token_to_id(mark) for mark in MARKS}
    model = _qwen(kind, tokenizer.get_vocab_size(), ids)
    _scatter(model)
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    patch = 16 if kind == "qwen3_vl" else 14
    pictures = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": patch, "merge_size": 2}
    pictures |= {"min_pixels": 3136, "max_pixels": 200704, "temporal_patch_size": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures), encoding="utf-8")
    return folder


def _qwen(kind: str, vocabulary: int, ids: dict[str, int]) -> torch.nn.Module:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
    text = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rope_parameters": rope,
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": None,
    }
    marks = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    vision = {"depth": 2, "num_heads": 2, "patch_size": 14}
    if kind == "qwen2_vl":
        vision |= {"embed_dim": 16, "hidden_size": WIDTH}
        return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **marks))
    vision |= {"hidden_size": 16, "intermediate_size": 24, "out_hidden_size": WIDTH}
    if kind == "qwen2_5_vl":
        vision |= {"window_size": 56, "fullatt_block_indexes": [1]}
        return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **marks))
    vision |= {"patch_size": 16, "deepstack_visual_indexes": [0], "num_position_embeddings": 16}
    text |= {"head_dim": 8}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **marks))


LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{{ ' ' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def save_tiny_llava(folder: Path) -> Path:
    """A checkpoint folder of LLaVA with its processor."""
    tokenizer = digit_tokenizer(["<pad>", "<s>", "</s>", "<image>"])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", chat_template=LLAVA_TEMPLATE
    )
    sizes = {"intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(hidden_size=16, image_size=28, patch_size=14, projection_dim=16, **sizes)
    text = LlamaConfig(
        hidden_size=WIDTH,
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        **sizes,
    )
    image_token = tokenizer.token_to_id("<image>")
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_id=image_token, image_seq_length=4)
    )
    _scatter(model)
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    _save_llava_processor(folder)
    return folder


TEXT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def save_tiny_text_model(folder: Path) -> Path:
    """A checkpoint folder of Llama, which reads text alone."""
    tokenizer = digit_tokenizer(MARKS)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEXT_TEMPLATE,
        additional_special_tokens=["<|im_start|>"],
    )  # fmt: skip
    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=WIDTH, vocab_size=tokenizer.get_vocab_size(), intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, eos_token_id=tokenizer.token_to_id("<|im_end|>"), pad_token_id=0,
        )
    )  # fmt: skip
    _scatter(model)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def _save_llava_processor(folder: Path) -> None:
    pictures = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 28},
        "crop_size": {"height": 28, "width": 28},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures), encoding="utf-8")
    processor = {
        "processor_class": "LlavaProcessor",
        "patch_size": 14,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
        "image_token": "<image>",
    }
    (folder / "processor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(LLAVA_TEMPLATE, encoding="utf-8")


def _scatter(model: torch.nn.Module) -> None:
    """Weights large enough that answers depend on prompt and picture."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, weight[0].numel() ** -0.5 * 1.5, generator=generator)
