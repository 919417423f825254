"""The diffusers generator on tiny random pipelines of three classes, loaded from a folder as any other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gotr1_eval import run_benchmark
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import BackendError, DataError, UsageError
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.plugins import GENERATORS
from gotr1_eval.core.protocols import UNREAD
from gotr1_eval.models.generators.diffusers import Settings, build, token_budget
from gotr1_eval.runs.store import read_judgments, read_samples
from gotr1_eval.settings import read_settings

pytest.importorskip("diffusers", reason="needs the extra diffusers")
from tests.tiny_diffusers import CALLS, CLIP_LENGTH, PIPELINES, safety_checker, unet_pipeline, write_pipeline

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # diffusers' schedulers and NumPy 2
KINDS = tuple(PIPELINES)
LONG = f"two blue squares {'x' * 400}"
PROMPTS = ("a red circle", LONG, "", "a green cross")
SEEDS = (1, 2**40, 3, 4)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: write_pipeline(PIPELINES[kind](), root / f"tiny-{kind}") for kind in KINDS}


def given(folder, **more):
    kind = folder.name.rpartition("-")[2]
    call = {**CALLS.get(kind, {}), **more.pop("call", {})}
    return {"model": str(folder), "steps": 2, "height": 32, "width": 32, "guidance": 2.0, "call": call, **more}


def generator(folder, **more):
    return build(read_settings(Settings, given(folder, **more), where="test"), workshop=None)


def pixels(generated):
    return [np.asarray(one.image, dtype=int) for one in generated]


def same(first, second):
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def apart(first, second):
    return max(np.abs(one - other).max() for one, other in zip(first, second, strict=True))


def test_it_is_listed_without_diffusers():
    assert "diffusers" in GENERATORS.list()
    code = (
        "import sys; sys.modules['diffusers'] = None; from gotr1_eval.cli.app import run; run(['list', 'generators'])"
    )
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "batches, takes seeds" in listed


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UsageError, match="pip install diffusers"):
        build(Settings(model="x"), workshop=None)


@pytest.mark.slow
def test_the_same_tile_gives_the_same_bits_in_any_process(folders, tmp_path):
    asked = {kind: given(folders[kind], batch=3) for kind in KINDS}
    code = f"""
import numpy, json
from gotr1_eval.models.generators.diffusers import Settings, build
made = {{}}
for kind, each in json.loads({json.dumps(json.dumps(asked))}).items():
    pictures = build(Settings(**each), None).generate({PROMPTS!r}, {SEEDS!r})
    made[kind] = [numpy.asarray(one.image, dtype=int) for one in pictures]
numpy.savez({str(tmp_path / "there.npz")!r}, **made)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    there = np.load(tmp_path / "there.npz")
    for kind in KINDS:
        here = pixels(generator(folders[kind], batch=3).generate(PROMPTS, SEEDS))
        assert here[0].shape == (32, 32, 3)
        assert len({one.tobytes() for one in here}) == len(here)
        assert same(here, there[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_alone_the_order_does_not_matter_and_in_a_batch_one_grey_level_does(folders, kind):
    alone = generator(folders[kind])
    assert alone.independent
    pictures = pixels(alone.generate(PROMPTS, SEEDS))
    backwards = pixels(generator(folders[kind]).generate(PROMPTS[::-1], SEEDS[::-1]))
    assert same(pictures, backwards[::-1])
    batched = generator(folders[kind], batch=4)
    assert not batched.independent
    assert apart(pictures, pixels(batched.generate(PROMPTS, SEEDS))) <= 1
    assert (alone.name, batched.name) == (f"tiny-{kind}-batch1", f"tiny-{kind}-batch4")
    assert alone.fingerprint != batched.fingerprint


def test_shards_and_restarts_make_the_same_pictures(folders, tmp_path):
    model = f"diffusers,model={folders['unet']},steps=1,height=32,width=32,batch=3"

    def generate(out, *more):
        options = ["--suite", "shapes", "--categories", "color", "--limit", "6", "--tile", "4", "--out", str(out)]
        return run(["generate", "--generator", model, *options, *more])

    assert generate(tmp_path / "whole") == 0
    for shard in ("1/2", "2/2"):
        assert generate(tmp_path / "cut", "--shard", shard) == 0
    assert run(["merge", str(tmp_path / "cut")]) == 0
    whole = {name: sample.image.read_bytes() for name, sample in read_samples(tmp_path / "whole").items()}
    assert {name: sample.image.read_bytes() for name, sample in read_samples(tmp_path / "cut").items()} == whole
    lines = (tmp_path / "whole" / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "whole" / "samples.jsonl").write_text("".join(lines[:5]))
    assert generate(tmp_path / "whole") == 0
    assert {name: sample.image.read_bytes() for name, sample in read_samples(tmp_path / "whole").items()} == whole


def test_nothing_in_nothing_out(folders):
    made = generator(folders["unet"])
    assert made.generate([], []) == []
    with pytest.raises(UsageError, match="as many seeds"):
        made.generate(["a"], [])


def test_a_batch_that_does_not_fit_is_halved(folders, monkeypatch):
    in_twos = pixels(generator(folders["unet"], batch=2).generate(PROMPTS, SEEDS))
    halved = generator(folders["unet"], batch=4)
    kind, most = type(halved.loaded.pipeline), 2
    paint = kind.__call__

    def short(self, prompt, **options):
        if len(prompt) > most:
            raise torch.OutOfMemoryError("as planned")
        return paint(self, prompt=prompt, **options)

    monkeypatch.setattr(kind, "__call__", short)
    made = halved.generate(PROMPTS, SEEDS)
    assert [one.meta["made_together"] for one in made] == [2] * 4
    assert same(pixels(made), in_twos)
    most = 0
    with pytest.raises(BackendError, match="out of memory for a single input"):
        halved.generate(PROMPTS, SEEDS)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_texts_are_counted(folders, kind):
    """In these tokenizers every sign is a token; CLIP adds two, T5 one for the end and one before each word."""
    clip = [max(len(text.replace(" ", "")) + 2 - CLIP_LENGTH, 0) for text in PROMPTS]
    t5 = [len(text.replace(" ", "")) + len(text.split()) + 1 for text in PROMPTS]
    expected = {
        "unet": [{"tokenizer": cut} for cut in clip],
        "flow": [{"tokenizer": cut, "tokenizer_2": max(length - 512, 0)} for cut, length in zip(clip, t5, strict=True)],
        "t5": [{"tokenizer": max(length - 120, 0)} for length in t5],
    }[kind]
    made = generator(folders[kind], batch=3).generate(PROMPTS, SEEDS)
    assert [one.meta["cut_tokens"] for one in made] == expected
    assert [one.meta[UNREAD] for one in made] == [min(cut.values()) for cut in expected]
    assert sum(one.meta[UNREAD] for one in made) > 0 or kind == "flow"
    longer = generator(folders["t5"], call={"max_sequence_length": 300}).generate([LONG], [1])[0]
    assert longer.meta[UNREAD] == t5[1] - 300


def test_what_is_not_wanted_does_not_count_as_cut(folders):
    made = generator(folders["unet"], batch=2, negative_prompt=LONG).generate(["a", "b"], [1, 2])
    assert [one.meta[UNREAD] for one in made] == [0, 0]


@pytest.mark.parametrize("flags", [True, False])
def test_a_blackened_picture_is_no_picture(tmp_path, flags):
    folder = write_pipeline(unet_pipeline(safety_checker(flags=flags)), tmp_path / "tiny-unet")
    made = generator(folder, batch=2).generate(PROMPTS[:2], SEEDS[:2])
    unchecked = generator(folder, batch=2, safety_checker=False).generate(PROMPTS[:2], SEEDS[:2])
    if flags:
        assert [(one.image, one.missing.why) for one in made] == [(None, Why.NOT_GENERATED)] * 2
        assert "safety checker" in made[0].missing.detail
    else:
        assert same(pixels(made), pixels(unchecked))
    assert all(one.std() > 1 for one in pixels(unchecked))


def test_a_blackened_picture_counts_apart_in_a_run(tmp_path):
    folder = write_pipeline(unet_pipeline(safety_checker(flags=True)), tmp_path / "tiny-unet")
    run_benchmark(
        suite="shapes", categories=("color",), limit=2, generator={"use": "diffusers", **given(folder)},
        judges="shapes_prompt_image", out=tmp_path / "run",
    )  # fmt: skip
    outcomes = [judgment.outcome for judgment in read_judgments(tmp_path / "run").values()]
    assert {outcome.why for outcome in outcomes} == {Why.NOT_GENERATED}
    assert list((tmp_path / "run").rglob("*.png")) == []


def test_a_writer_s_text_that_clip_cuts_makes_no_picture(folders, tmp_path):
    """The prompts fit into CLIP's 77 tokens, the chains do not; T5 reads them whole."""
    plan, call = "tests.plugins.planning_vlm", {"max_sequence_length": 400}
    asked = {
        "prompt": ("unet", {"template": "prompt"}),
        "cut": ("unet", {}),
        "allowed": ("unet", {"allow_cut": True}),
        "read": ("t5", {}),
    }
    found = {}
    for name, (kind, more) in asked.items():
        painter = {"use": "diffusers", **given(folders[kind], **({"call": call} if kind == "t5" else {}))}
        made = {"use": "writer", "model": {"use": plan, "refuses": "nobody"}, "painter": painter, **more}
        options = {"suite": "shapes", "categories": ("spatial",), "limit": 2, "images_per_prompt": 1}
        run_benchmark(**options, generator=made, judges="geometric,shapes_prompt_image", out=tmp_path / name)
        samples = read_samples(tmp_path / name).values()
        found[name] = [(sample.image is not None, sample.meta[UNREAD] > 0) for sample in samples]
        geometric = [one.outcome for key, one in read_judgments(tmp_path / name).items() if key[1] == "geometric"]
        assert all(outcome.value > 0.5 for outcome in geometric), "the plan counts, with a picture or without"
    assert found == {
        "prompt": [(True, False)] * 2, "cut": [(False, True)] * 2, "allowed": [(True, True)] * 2,
        "read": [(True, False)] * 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("unet", {"steps": 3}),
        ("unet", {"guidance": 7.0}),
        ("unet", {"scheduler": "DPMSolverMultistepScheduler"}),
        ("unet", {"negative_prompt": "blue"}),
        ("flow", {"guidance": 7.0}),
        ("t5", {"call": {"max_sequence_length": 8}}),
    ],
)
def test_every_setting_reaches_the_pipeline(folders, kind, change):
    before, after = generator(folders[kind]), generator(folders[kind], **change)
    assert apart(pixels(before.generate(PROMPTS[:1], [1])), pixels(after.generate(PROMPTS[:1], [1]))) > 0
    assert before.fingerprint != after.fingerprint


def test_the_size_is_a_setting(folders):
    assert generator(folders["unet"], height=16, width=24).generate(["a"], [1])[0].image.size == (24, 16)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"call": {"cfg": 2}}, "StableDiffusionPipeline takes no cfg; it takes: .*guidance_scale"),
        ({"call": {"generator": 2}}, "takes no generator"),
        ({"scheduler": "FastScheduler"}, "no scheduler 'FastScheduler'"),
        ({"scheduler": "FlowMatchEulerDiscreteScheduler"}, "cannot follow on DDIMScheduler; it may be: DDIMScheduler"),
        ({"height": 33}, "divisible by 8"),
    ],
)
def test_what_the_pipeline_does_not_take_is_told(folders, change, words):
    with pytest.raises(UsageError, match=words):
        generator(folders["unet"], **change).generate(["a"], [1])


@pytest.mark.parametrize("setting", [{"batch": 0}, {"guidance": -1}, {"steps": 0}, {"offload": "disk"}, {"stepps": 1}])
def test_bad_settings(folders, setting):
    with pytest.raises(UsageError):
        generator(folders["unet"], **setting)


def test_offloading_needs_a_gpu(folders):
    with pytest.raises(UsageError, match="offload=model needs a GPU"):
        generator(folders["unet"], device="cpu", offload="model")


def test_a_lora_is_added_with_its_weight(folders, tmp_path):
    from peft import LoraConfig, get_peft_model_state_dict

    pipeline = unet_pipeline()
    torch.manual_seed(1)
    pipeline.unet.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    pipeline.save_lora_weights(tmp_path / "style", unet_lora_layers=get_peft_model_state_dict(pipeline.unet))
    plain = generator(folders["unet"])
    styled = generator(folders["unet"], lora=str(tmp_path / "style"))
    by_file = generator(folders["unet"], lora=str(tmp_path / "style" / "pytorch_lora_weights.safetensors"))
    without = generator(folders["unet"], lora=str(tmp_path / "style"), lora_scale=0.0)
    pictures = [pixels(each.generate(PROMPTS, SEEDS)) for each in (plain, styled, by_file, without)]
    assert apart(pictures[0], pictures[1]) > 1
    assert same(pictures[1], pictures[2])
    assert apart(pictures[0], pictures[3]) <= 1
    assert styled.name == "tiny-unet+style-batch1"
    assert len({plain.fingerprint, styled.fingerprint, without.fingerprint}) == 3
    with pytest.raises(DataError, match="not a LoRA of FluxPipeline"):
        generator(folders["flow"], lora=str(tmp_path / "style")).generate(["a"], [1])


@pytest.fixture
def copy(folders, tmp_path):
    return shutil.copytree(folders["unet"], tmp_path / "tiny-unet")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "conv_out.weight"),
        ("vae/diffusion_pytorch_model.safetensors", "post_quant_conv.weight"),
        ("text_encoder/model.safetensors", "final_layer_norm.weight"),
    ],
)
@pytest.mark.parametrize("fault", ["missing", "shape"])
def test_weights_that_do_not_fit_are_no_random_ones(copy, file, name, fault):
    weights = load_file(copy / file)
    key = next(key for key in weights if key.endswith(name))
    if fault == "missing":
        del weights[key]
    else:
        weights[key] = torch.zeros(3, 3)
    save_file(weights, copy / file, metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"tiny-unet: the (weights do not fit|pipeline cannot be read)"):
        generator(copy).generate(["a"], [1])


def test_the_fingerprint_follows_the_weights_and_not_the_place(folders, copy):
    before = generator(copy).fingerprint
    assert before == generator(folders["unet"]).fingerprint
    weights = load_file(copy / "vae" / "diffusion_pytorch_model.safetensors")
    weights["post_quant_conv.weight"][0, 0] += 1
    save_file(weights, copy / "vae" / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    assert generator(copy).fingerprint != before


def test_values_that_are_no_numbers_are_no_black_picture(copy):
    weights = load_file(copy / "vae" / "diffusion_pytorch_model.safetensors")
    weights["post_quant_conv.weight"][:] = torch.nan
    save_file(weights, copy / "vae" / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
    made = generator(copy).generate(["a"], [1])[0]
    assert made.image is None
    assert made.missing.detail == "its values are not finite in float32 (setting dtype)"


def test_a_variant_that_is_not_there(folders):
    with pytest.raises(DataError, match="variant=fp16"):
        generator(folders["unet"], variant="fp16").generate(["a"], [1])


def test_code_beside_the_weights_does_not_run(copy, tmp_path):
    ran = tmp_path / "ran"
    (copy / "own_pipeline.py").write_text(
        f"""
from pathlib import Path
from diffusers import StableDiffusionPipeline
Path({str(ran)!r}).touch()
class OwnPipeline(StableDiffusionPipeline):
    pass
"""
    )
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps({**index, "_class_name": ["own_pipeline", "OwnPipeline"]}))
    with pytest.raises(UsageError, match="remote_code=true lets it run"):
        generator(copy).generate(["a"], [1])
    assert not ran.exists()
    assert generator(copy, remote_code=True).generate(["a"], [1])[0].meta["pipeline"] == "OwnPipeline"
    assert ran.exists()


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, UsageError, "has no model_index.json"),
        ("{", DataError, "model_index.json: not JSON"),
        ("[]", DataError, "expected a pipeline's parts"),
        ('{"_class_name": "NoSuchPipeline"}', DataError, "NoSuchPipeline"),
    ],
)
def test_a_folder_of_something_else(copy, content, error, words):
    index = copy / "model_index.json"
    index.unlink() if content is None else index.write_text(content)
    with pytest.raises(error, match=words):
        generator(copy).generate(["a"], [1])


def test_a_pipeline_without_prompts(tmp_path):
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    unet = UNet2DModel(sample_size=8, block_out_channels=(8,), layers_per_block=1, norm_num_groups=2, **blocks)
    folder = write_pipeline(DDPMPipeline(unet, DDPMScheduler()), tmp_path / "ddpm")
    with pytest.raises(UsageError, match="DDPMPipeline makes no picture of a text"):
        generator(folder).generate(["a"], [1])


def test_a_repository_that_is_not_here():
    with pytest.raises(UsageError, match="somebody/nothing"):
        _ = build(Settings(model="somebody/nothing"), workshop=None).name


def test_the_budget_of_tokens_is_none():
    assert token_budget(Settings(model="x")).image == 0
