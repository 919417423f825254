"""The tiny Janus's corpus: what it teaches, and that it errs no more than it says."""

from __future__ import annotations

import itertools
import random

import numpy as np
from PIL import Image

from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.geometry import gap, iou
from gotr1_eval.shapes.detecting import find_objects
from gotr1_eval.shapes.layout import random_scene
from gotr1_eval.shapes.prompts import CATEGORIES, prompts
from gotr1_eval.shapes.scene import GRID
from training.tiny.shapes_corpus import DISPLACED_RATE, displaced, examples, random_pictures


def test_the_same_seed_gives_the_same_examples():
    for one, other in zip(examples(5, 3), examples(5, 3), strict=True):
        assert (one.prompt, one.chain) == (other.prompt, other.chain)
        assert np.array_equal(one.picture, other.picture)
    assert [one.prompt for one in examples(5, 3)] != [one.prompt for one in examples(5, 4)]


def test_no_prompt_of_the_val_split_is_taught():
    held_out = {prompt for category in CATEGORIES for prompt in prompts(category, "val")}
    assert not held_out & {one.prompt for one in examples(300, 0)}


def test_pictures_miss_their_plan_at_about_the_stated_rate():
    missed = 0
    for one in examples(300, 0):
        seen = [box for _, box, _ in find_objects(Image.fromarray(one.picture))]
        planned = [box for _, box in parse_chain(one.chain).boxed]
        missed += any(max((iou(box, other) for other in seen), default=0.0) < 0.85 for box in planned)
    assert abs(missed / 300 - DISPLACED_RATE) < 0.08


def test_a_displaced_object_keeps_its_size_and_its_distance():
    rng = random.Random(0)
    for _ in range(50):
        scene = random_scene(rng, 3)
        moved = displaced(scene, rng)
        changed = [new for old, new in zip(scene.objects, moved.objects, strict=True) if old != new]
        assert len(changed) <= 1
        assert {round(placed.box.width * GRID) for placed in changed} <= {
            round(p.box.width * GRID) for p in scene.objects
        }
        assert all(gap(a.box, b.box) >= 1 / GRID for a, b in itertools.combinations(moved.objects, 2))


def test_random_pictures_have_the_stated_shape():
    assert random_pictures(3, 0).shape == (3, 64, 64, 3)
