"""Three evaluators side by side with loops that work as the official scripts do: same weights, same pictures, one run.

BLIP-VQA: the script passes all pictures through the whole model eight times, once for each noun phrase that a prompt
may have; ours encodes a picture once and asks the real questions. 2D-spatial: the script loads its parser anew for
every picture. GenEval's colours: the script makes a DataLoader with four workers for every class of every picture;
ours embeds all cut-out objects together. Only ratios of one run say anything: run

    OMP_NUM_THREADS=1 python -m tests.perf.evaluators [--pictures 32] [--rounds 3]

The parser is spaCy's en_core_web_sm where it is installed; with spaCy alone an untrained pipeline of the same kind is
saved and loaded in its place, for time only; without spaCy that row is not measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.geneval.objects import CountedObject
from benchmarks.geneval.prompts import COLOURS
from benchmarks.geneval.verdict import ColourNamer, cut_out
from benchmarks.t2i_compbench.attributes import attribute_score
from benchmarks.t2i_compbench.judges.blip_vqa import BlipVqaJudge
from benchmarks.t2i_compbench.judges.spatial_2d import Spatial2dJudge, spatial_outcome
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import open_picture
from gotr1_eval.models.detectors.precomputed import PrecomputedDetector
from gotr1_eval.models.encoders.clip import ClipModelEncoder, Settings
from gotr1_eval.models.phrases.builtin import BuiltinPhrases
from gotr1_eval.models.vqa.blip import BlipVqa, prepare
from tests.tiny_blip import blip_vqa, write_original
from tests.tiny_clip import random_open_clip, write_tokenizer

BLIP = {"side": 480, "patch": 16, "width": 64, "layers": 2}
CLIP = {"side": 224, "patch": 32, "image_width": 64, "text_width": 32, "layers": 2, "common": 32}
SLOTS, BATCH = 8, 32
"""Questions for which the script has a place, and pictures that it passes through the model together."""
CHUNKS = ("a red bench", "a green bowl")
NOUNS = ("cat", "dog", "bird", "boat", "car", "bench")
Values = list[float]


def values(outcomes: Sequence[Outcome]) -> Values:
    return [outcome.value for outcome in outcomes if isinstance(outcome, Score)]


def measure(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each way, taken in turns after a round that does not count; all must answer alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        answers = []
        for name, way in ways.items():
            before = time.perf_counter()
            answers.append(way())
            if turn:
                seconds[name].append(time.perf_counter() - before)
        for answer in answers[1:]:
            assert len(answer) == len(answers[0]) > 0
            assert answer == answers[0] or np.allclose(answer, answers[0], atol=2e-4)
    return {name: median(times) for name, times in seconds.items()}


def write_pictures(folder: Path, count: int) -> list[Path]:
    noise = np.random.default_rng(0)
    paths = [folder / f"{index}.png" for index in range(count)]
    for path in paths:
        Image.fromarray(noise.integers(0, 256, (512, 512, 3), dtype=np.uint8)).save(path)
    return paths


def samples(paths: Sequence[Path], category: str, prompts: Sequence[str]) -> list[Sample]:
    meta = {"category": category}
    return [
        Sample(id=str(place), prompt=prompts[place % len(prompts)], image=path, meta=meta)
        for place, path in enumerate(paths)
    ]


class EightPasses:
    """The script's way through the same model, with our preparation of pictures and questions."""

    def __init__(self, model: BlipVqa, paths: Sequence[Path]) -> None:
        self.model, self.paths = model, paths

    @torch.inference_mode()
    def __call__(self) -> Values:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as ours does for a small model
        questions = [f"{CHUNKS[slot]}?" if slot < len(CHUNKS) else "" for slot in range(SLOTS)]
        answers = [self._pass(question) for question in questions]
        torch.set_num_threads(threads)
        # What is asked where there is no phrase is answered by the model, and then counted as 1.
        return [attribute_score([slot[place] for slot in answers[: len(CHUNKS)]]) for place in range(len(self.paths))]

    def _pass(self, question: str) -> Values:
        loaded = self.model.loaded
        model, tokenizer = loaded.model, loaded.tokenizer
        found: Values = []
        for start in range(0, len(self.paths), BATCH):
            batch = self.paths[start : start + BATCH]
            pixels = torch.stack([prepare(open_picture(path), BLIP["side"]) for path in batch])
            seen = model.vision_model(pixel_values=pixels).last_hidden_state
            ids = torch.tensor([tokenizer.ids(question)] * len(batch))
            read = model.text_encoder(input_ids=ids, encoder_hidden_states=seen).last_hidden_state
            begin = torch.full((len(batch), 1), tokenizer.start)
            chances = model.text_decoder(input_ids=begin, encoder_hidden_states=read).logits[:, 0].softmax(dim=-1)
            yes, no = chances[:, tokenizer.yes], chances[:, tokenizer.no]
            found += (yes / (yes + no)).tolist()
        return found


def measure_blip(folder: Path, paths: Sequence[Path], rounds: int) -> dict[str, float]:
    model = blip_vqa(write_original(folder, **BLIP), image_size=BLIP["side"], batch_size=BATCH)
    judge = BlipVqaJudge(model, BuiltinPhrases(), "reference")
    asked = samples(paths, "color", [" and ".join(CHUNKS)])
    return measure({"script": EightPasses(model, paths), "ours": lambda: values(judge.judge(asked))}, rounds)


def load_parser(folder: Path) -> tuple[Callable[[], Any], str] | None:
    """What loads a spaCy pipeline from disk, and what it is called; None without spaCy."""
    if importlib.util.find_spec("spacy") is None:
        return None
    import spacy
    from spacy.training import Example

    if spacy.util.is_package("en_core_web_sm"):
        return lambda: spacy.load("en_core_web_sm"), "spaCy's en_core_web_sm"
    pipeline = spacy.blank("en")
    for component in ("tagger", "parser", "attribute_ruler", "ner"):
        pipeline.add_pipe(component)
    facts = {"tags": ["DT", "NN"], "heads": [1, 1], "deps": ["det", "ROOT"], "entities": ["O", "U-ORG"]}
    example = Example.from_dict(pipeline.make_doc("a cat"), facts)
    pipeline.initialize(lambda: [example])
    pipeline.to_disk(folder / "pipeline")
    return lambda: spacy.load(folder / "pipeline"), f"an untrained pipeline of spaCy {spacy.__version__}"


def write_detections(path: Path, paths: Sequence[Path], prompts: Sequence[str]) -> None:
    """Both objects of every prompt, the first to the left."""
    rows = []
    for place, picture in enumerate(paths):
        words = prompts[place % len(prompts)].split()
        boxes = ((words[1], [20, 100, 200, 300], 0.9), (words[-1], [280, 110, 460, 320], 0.8))
        found = [{"label": name, "box": box, "score": score} for name, box, score in boxes]
        row = {"image": str(picture), "detector": "unidet-rs200", "width": 479, "height": 479, "detections": found}
        rows.append(json.dumps(row))
    path.write_text("\n".join(rows))


def measure_spatial(folder: Path, paths: Sequence[Path], rounds: int) -> tuple[dict[str, float], str] | None:
    """Seconds for all pictures, and which parser was loaded."""
    parser = load_parser(folder)
    if parser is None:
        return None
    load, name = parser
    prompts = [f"a {one} on the left of a {other}" for one, other in zip(NOUNS, [*NOUNS[1:], NOUNS[0]], strict=True)]
    write_detections(folder / "found.jsonl", paths, prompts)
    detector, phrases = PrecomputedDetector(folder / "found.jsonl"), BuiltinPhrases()
    asked = samples(paths, "spatial", prompts)
    judge = Spatial2dJudge(detector, phrases, "reference")

    def script() -> Values:
        outcomes = []
        for sample in asked:
            words = [token.text for token in load()(sample.prompt)]  # read for its time: it may be untrained
            assert sample.image is not None
            seen = detector.look_up(Path(str(sample.image)))
            assert seen is not None
            outcomes.append(spatial_outcome(sample.prompt, (words[1], words[-1]), seen, "reference"))
        return values(outcomes)

    return measure({"script": script, "ours": lambda: values(judge.judge(asked))}, rounds), name


Case = tuple[str, Image.Image, CountedObject]
"""Class, picture, object."""


class Crops(Dataset[tuple[torch.Tensor, int]]):
    """The objects of one class of one picture."""

    def __init__(self, picture: Image.Image, objects: Sequence[CountedObject], encoder: ClipModelEncoder) -> None:
        self.picture, self.objects, self.encoder = picture, objects, encoder

    def __len__(self) -> int:
        return len(self.objects)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.encoder.prepare(cut_out(self.picture, self.objects[index]), CLIP["side"]), 0


class LoaderPerClass:
    """The script's way: the sentences of a class once, then a DataLoader for every class of every picture."""

    def __init__(self, encoder: ClipModelEncoder, cases: Sequence[Case], workers: int) -> None:
        self.encoder, self.cases, self.workers = encoder, cases, workers
        self.namer = ColourNamer(encoder)

    @torch.inference_mode()
    def __call__(self) -> list[int]:
        found = []
        for name, picture, one in self.cases:
            self.namer._embed_sentences([name])
            crops = Crops(picture, [one], self.encoder)
            for pixels, _ in DataLoader(crops, batch_size=16, num_workers=self.workers):
                rows = self.encoder.loaded.model.get_image_features(pixel_values=pixels).pooler_output
                cosines = torch.nn.functional.normalize(rows, dim=-1).numpy() @ self.namer._directions[name].T
                found += cosines.argmax(axis=1).tolist()
        return found


def measure_colours(folder: Path, paths: Sequence[Path], rounds: int) -> dict[str, float]:
    write_tokenizer(folder)
    torch.save(random_open_clip(**CLIP).state_dict(), folder / "tiny.pt")
    settings = Settings(model=str(folder / "tiny.pt"), head_width=16, activation="gelu", device="cpu", batch_size=BATCH)
    encoder = ClipModelEncoder(settings)
    mask = np.zeros((512, 512), dtype=np.bool_)
    mask[100:400, 120:380] = True
    one = CountedObject(np.array([120, 100, 380, 400], dtype=np.float32), 0.9, mask)
    cases = [(NOUNS[place % len(NOUNS)], open_picture(path), one) for place, path in enumerate(paths)]
    namer = ColourNamer(encoder)

    def ours() -> list[int]:
        cuts = [(name, cut_out(picture, found)) for name, picture, found in cases]
        return [COLOURS.index(colour) for colour in namer.name_colours(cuts)]

    workers = LoaderPerClass(encoder, cases, 4)
    none = LoaderPerClass(encoder, cases, 0)
    return measure({"script": workers, "script, no workers": none, "ours": ours}, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # more workers than cores, as the script
    warnings.filterwarnings("ignore", message=r"\[W036\]")  # the untrained pipeline has no patterns
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = write_pictures(folder, asked.pictures)
        print(f"{asked.pictures} pictures, {asked.rounds} rounds, {torch.get_num_threads()} threads\n")
        print("| evaluator | the script's way | time, ours = 1 | ours, ms a picture |\n|---|---|---|---|")

        def row(evaluator: str, way: str, taken: float, ours: float) -> None:
            print(f"| {evaluator} | {way} | {taken / ours:.1f} | {1000 * ours / asked.pictures:.2f} |", flush=True)

        blip = measure_blip(folder / "blip", paths, asked.rounds)
        row("BLIP-VQA, two noun phrases", "eight passes", blip["script"], blip["ours"])
        spatial = measure_spatial(folder, paths, asked.rounds)
        if spatial is None:
            print("| 2D-spatial | not measured: spaCy is not installed | | |")
        else:
            taken, name = spatial
            row("2D-spatial, detections given", f"{name}, loaded for every picture", taken["script"], taken["ours"])
        colours = measure_colours(folder / "clip", paths, asked.rounds)
        for name, way in (
            ("script", "a DataLoader of four workers a class"),
            ("script, no workers", "without workers"),
        ):
            row("GenEval's colours", way, colours[name], colours["ours"])


if __name__ == "__main__":
    main()
