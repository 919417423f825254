"""A checkpoint of the original layout against what the original code computes on it (float32, processor)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from gotr1_eval.models.autoregressive.choosing import Choice, guide
from gotr1_eval.models.autoregressive.prompts import prompt_text
from gotr1_eval.models.janus.converting import convert
from gotr1_eval.models.janus.encoding import encode_pictures
from gotr1_eval.models.janus.loading import Checkpoint, load_checkpoint
from gotr1_eval.models.janus.original_names import source_of, without_counterpart
from gotr1_eval.models.janus.sampling import decode_images, sample_chains, sample_images
from gotr1_eval.models.janus.sequence import encode_prompt, load_tokenizer
from gotr1_eval.models.sampled_sequences import unconditional_row
from tests.conftest import shared_parameters

CHECKPOINTS = shared_parameters("data/janus/*_orig/config.json")
each_checkpoint = pytest.mark.parametrize("config", CHECKPOINTS)
GREEDY = Choice(temperature=0.0)


@cache
def loaded(folder: Path) -> Checkpoint:
    return load_checkpoint(folder, device=torch.device("cpu"), dtype=torch.float32)


def reference(config: Path, name: str) -> Path:
    folder = config.parent
    return folder.with_name(f"ref_{folder.name.removesuffix('_orig')}") / name


def states(model, rows, image=None):
    """The last states of a plain forward pass of the language model, [rows, positions, width]."""
    embedded = model.get_input_embeddings()(torch.tensor(rows))
    if image is not None:
        painted = model.prepare_embeddings_for_image_generation(torch.tensor(image)[None]).expand(len(rows), -1, -1)
        embedded = torch.cat([embedded, painted], dim=1)
    return model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state


@each_checkpoint
def test_tokens(config, count_shared):
    known = json.loads(count_shared(reference(config, "tokens.json")).read_text(encoding="utf-8"))
    checkpoint = loaded(config.parent)
    tokenizer, special = checkpoint.tokenizer, checkpoint.special
    ids = known["ids"]
    assert (special.bos, special.pad, special.begin_of_image) == (ids["bos"], ids["pad_id"], ids["image_start_id"])
    for token, number in ids["got_tokens"].items():
        assert tokenizer.convert_tokens_to_ids(token) == number
    hub_style = config.parent / "tokenizer_hub_style"
    for reader in [tokenizer, *([load_tokenizer(hub_style)] if hub_style.is_dir() else [])]:
        for entry in known["tokenisation"].values():
            assert reader.encode(entry["string"], add_special_tokens=False) == entry["ids"][1:], entry["string"]
    first = known["tokenisation"]["got_prompt_P1"]
    prompt = first["string"].removeprefix(prompt_text("")[: -len("\n\nAssistant:")]).removesuffix("\n\nAssistant:")
    assert encode_prompt(tokenizer, prompt.strip(), special) == first["ids"]
    assert encode_prompt(tokenizer, "", special) == known["tokenisation"]["got_prompt_empty"]["ids"]


@each_checkpoint
@torch.no_grad()
def test_text_logits(config, count_shared):
    known = np.load(count_shared(reference(config, "text_logits.npz")))
    model = loaded(config.parent).model
    for ids, logits in (("input_ids", "logits"), ("tf_input_ids", "tf_logits")):
        found = model.lm_head(states(model, [known[ids].tolist()]))[0]
        assert np.abs(found.numpy() - known[logits]).max() <= 1e-4


@each_checkpoint
@torch.no_grad()
def test_image_logits_of_both_rows_and_guided(config, count_shared):
    known = np.load(count_shared(reference(config, "image_logits_teacher_forced.npz")))
    checkpoint = loaded(config.parent)
    model = checkpoint.model
    prefix, image = known["prefix_ids"].tolist(), known["image_ids"].tolist()
    rows = [prefix, unconditional_row(prefix, checkpoint.special.pad)]
    assert rows == known["rows"].tolist()
    found = model.model.generation_head(states(model, rows, image)[:, len(prefix) - 1 :])
    conditional, plain = found
    assert np.abs(conditional.numpy() - known["logits_cond"]).max() <= 1e-4
    assert np.abs(plain.numpy() - known["logits_uncond"]).max() <= 1e-4
    guided = guide(conditional, plain, 5.0)
    assert np.abs(guided[:3].numpy() - known["logits_cfg5_first3"]).max() <= 5e-4
    assert guided.argmax(-1).tolist() == known["cfg5_argmax"].tolist()


@each_checkpoint
def test_decoded_pictures(config, count_shared):
    known = np.load(count_shared(reference(config, "decode.npz")))
    grids = [name for name in known.files if name.startswith("grid_")]
    model = loaded(config.parent).model
    wanted = model.config.vision_config.num_image_tokens
    checked = 0
    for name in grids:
        tokens = torch.from_numpy(known[name]).long()
        if tokens.shape[1] != wanted:
            continue  # the native decoder takes whole pictures only, and nothing else is ever sampled
        size = name.removeprefix("grid_")
        with torch.no_grad():
            pixels = model.decode_image_tokens(tokens).permute(0, 3, 1, 2)
        assert np.abs(pixels.numpy() - known[f"pixels_{size}"]).max() <= 1e-4
        bytes_apart = decode_images(model, tokens).numpy().astype(int) - known[f"uint8_{size}"]
        assert np.abs(bytes_apart).max() <= 1
        checked += 1
    assert checked


@each_checkpoint
def test_encoded_pictures(config, count_shared):
    known = np.load(count_shared(reference(config, "understanding.npz")))
    model = loaded(config.parent).model
    pixels = torch.from_numpy(known["pixel_values"]).permute(0, 2, 3, 1)
    pictures = ((pixels + 1) / 2 * 255).round().to(torch.uint8)
    found = encode_pictures(model.model.vqmodel, pictures)[0]
    # Pixels went through 8 bits, so that a code may change at a near tie.
    assert (found.numpy() == known["vq_encode_ids"]).mean() >= 0.9


@pytest.mark.slow
@each_checkpoint
def test_greedy_runs(config, count_shared):
    runs = json.loads(count_shared(reference(config, "generation.json")).read_text(encoding="utf-8"))
    pixels = np.load(count_shared(reference(config, "generation_pixels.npz")))
    checkpoint = loaded(config.parent)
    model, special = checkpoint.model, checkpoint.special
    greedy = {name: run for name, run in runs.items() if run.get("mode") == "greedy"}
    assert greedy
    for name, run in greedy.items():
        row = encode_prompt(checkpoint.tokenizer, run["prompt"], special)
        # Among other prompts, so that the batch is a real one.
        rows = [encode_prompt(checkpoint.tokenizer, "a", special), row]
        chain = sample_chains(model, rows, [1, 2], special, cap=600, choice=GREEDY)[1]
        assert list(chain.ids) == run["text_ids_including_boi"]
        assert chain.truncated == run["boi_was_appended_after_600"]
        texts = [[*rows[0], special.begin_of_image], [*row, *chain.ids]]
        images = sample_images(model, texts, [1, 2], special, guidance=run["cfg_weight"], choice=GREEDY)
        assert images.ids_BT[1:].tolist() == run["image_ids"]
        apart = decode_images(model, images.ids_BT[1:]).numpy().astype(int) - pixels[f"{name}__uint8"]
        assert np.abs(apart).max() <= 1


@each_checkpoint
def test_a_converted_folder_is_the_same_model(config, tmp_path, count_shared):
    convert(count_shared(config).parent, tmp_path / "native", shard_size="4MB")
    assert len(list((tmp_path / "native").glob("*.safetensors"))) > 1
    original = loaded(config.parent)
    native = load_checkpoint(tmp_path / "native", device=torch.device("cpu"), dtype=torch.float32)
    ours, theirs = original.model.state_dict(), native.model.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert native.special == original.special
    assert native.tokenizer.get_vocab() == original.tokenizer.get_vocab()


@pytest.mark.parametrize("path", shared_parameters("data/janus/mapping_*.json"))
def test_every_name_of_the_real_sizes(path, count_shared):
    size = path.stem.removeprefix("mapping_")
    stored = json.loads(count_shared(path.with_name(f"keys_janus_pro_{size}.json")).read_text())
    native = json.loads(count_shared(path.with_name(f"keys_janus_native_{size}.json")).read_text())
    used = {}
    for name, shape in native.items():
        source = source_of(name)
        assert source.stored_shape(tuple(shape)) == tuple(stored[source.name])
        used.setdefault(source.name, set()).add(source.part)
    assert {name for name in stored if not without_counterpart(name)} == set(used)
    table = json.loads(count_shared(path).read_text())
    for old, new in table.items():
        for name in [new] if isinstance(new, str) else new or []:
            assert source_of(name).name == old
