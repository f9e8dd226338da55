"""The random layouts of the scene."""

import itertools

import numpy as np
import pytest
from inverse_kinematics import pointing_down

from sim import layouts
from sim.description.robot import JOINTS
from sim.kinematics import flange_pose
from sim.layouts import HELD_OUT_SEEDS, TRAINING_SEEDS, home_layout, sample_layout
from sim.look import DEFAULT_LOOK, brightness_of
from sim.tasks import TASKS, Task

SEEDS = range(0, 150)


def of_kind(kind: str) -> list[layouts.Layout]:
    task = Task(kind, 0, 1 if kind == "stack" else None)
    return [sample_layout(seed, task) for seed in SEEDS]


SAMPLED = {kind: of_kind(kind) for kind in TASKS}
ALL = [layout for sampled in SAMPLED.values() for layout in sampled]


def distance(a, b) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def places(objects) -> list[tuple[float, float]]:
    return [(item.x, item.y) for item in objects]


def test_a_seed_and_a_kind_of_task_determine_the_layout():
    assert sample_layout(5, Task("pick", 0)) == sample_layout(5, Task("pick", 2))
    assert sample_layout(5, Task("pick", 0)) != sample_layout(6, Task("pick", 0))
    assert len({sample_layout(seed, Task("pick", 0)) for seed in SEEDS}) == len(SEEDS)


def test_training_and_held_out_seeds_are_disjoint():
    assert HELD_OUT_SEEDS[-1] < 1_000_000 <= TRAINING_SEEDS[0]


def test_blocks_are_in_their_area_and_apart():
    for layout in ALL:
        for block in layout.blocks:
            assert 0.38 <= block.x <= 0.64
            assert abs(block.y) <= 0.22
            assert 0.024 <= block.half_size <= 0.027
        for a, b in itertools.combinations(places(layout.blocks), 2):
            assert distance(a, b) > 0.115


def test_the_bowl_is_in_its_area_and_away_from_the_blocks():
    assert all(layout.bowl for layout in SAMPLED["bowl"])
    assert 0.3 < np.mean([layout.bowl is None for layout in SAMPLED["pick"]]) < 0.7
    for layout in ALL:
        if layout.bowl:
            assert 0.38 <= layout.bowl[0] <= 0.62
            assert abs(layout.bowl[1]) <= 0.25
            assert min(distance(layout.bowl, block) for block in places(layout.blocks)) >= 0.15


def test_distractors_are_away_from_everything_and_unlike_blocks():
    assert {len(layout.distractors) for layout in ALL} == {0, 1, 2}
    for layout in ALL:
        objects = places(layout.blocks) + places(layout.distractors) + ([layout.bowl] if layout.bowl else [])
        for a, b in itertools.combinations(objects, 2):
            assert distance(a, b) >= 0.1
        for distractor in layout.distractors:
            assert not (distractor.kind == "box" and min(distractor.half_size) > 0.015)


def test_the_arm_starts_near_home_above_the_objects():
    starts = np.array([layout.start for layout in ALL])
    np.testing.assert_allclose(starts.std(axis=0), 0.08, rtol=0.15)
    for start in starts:
        pose = flange_pose(start)
        assert (pose[:3, 3] + 0.1034 * pose[:3, 2])[2] > 0.2


def test_some_layouts_have_the_default_look():
    share = np.mean([layout.look == DEFAULT_LOOK for layout in ALL])
    assert 0.08 < share < 0.25
    assert home_layout().look == DEFAULT_LOOK


def test_block_colours_keep_their_names():
    for layout in ALL:
        colours = dict(layout.look.colours)
        for index, name in enumerate(("red", "green", "blue")):
            rgb = np.array(colours[name])
            assert rgb.argmax() == index
            assert rgb[index] > 1.6 * np.delete(rgb, index).max()


def test_the_bowl_stands_out_from_the_mat():
    for layout in ALL:
        colours = dict(layout.look.colours)
        assert abs(brightness_of(colours["bowl"]) - brightness_of(colours["mat"])) > 0.2


@pytest.mark.parametrize("height", [0.02, 0.25])
@pytest.mark.parametrize("corner", [(0.38, 0.0), (0.64, 0.22), (0.64, -0.22), (0.62, 0.25), (0.38, -0.25)])
def test_the_gripper_reaches_every_corner_of_the_areas_pointing_down(corner, height):
    q = pointing_down([*corner, height])
    for angle, joint in zip(q, JOINTS[:7], strict=True):
        assert joint.lower < angle < joint.upper
