"""The judge, by bodies that are placed in the scene and left to the physics."""

from dataclasses import replace

import numpy as np
import pytest
from inverse_kinematics import pointing_down

from sim.description.bowl import FLOOR, HEIGHT, RIM_RADIUS
from sim.gl import mujoco
from sim.judge import Judge
from sim.layouts import Block, Distractor, Layout, home_layout
from sim.scene import BLOCKS, BOWL, DISTRACTORS, SURFACE, Scene
from sim.tasks import TIME_LIMITS, Task

TICK = 66_666_667  # ns
SIZE = 0.026  # m, half an edge of a block of home_layout()


@pytest.fixture(scope="module")
def shared() -> Scene:
    return Scene()


@pytest.fixture
def scene(shared) -> Scene:
    shared.reset(home_layout())
    return shared


def place(scene: Scene, name: str, position, yaw=0.0) -> None:
    """Moves an object, at rest."""
    joint = scene.data.joint(scene.model.body(name).jntadr[0])
    joint.qpos[:] = (*position, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2))
    joint.qvel[:] = 0


def judge_for(scene: Scene, judge: Judge, ticks: int) -> str | None:
    """The outcome after at most `ticks` control ticks."""
    for _ in range(ticks):
        scene.advance(0, TICK, 20)
        if judge.update():
            break
    return judge.outcome


def above_bowl(scene: Scene, offset: float, height: float) -> np.ndarray:
    return scene.bowl_position + [offset, 0, height]


@pytest.mark.parametrize("offset", [0.0, 0.015, 0.03])
def test_a_block_that_is_dropped_into_the_bowl_is_a_success(scene, offset):
    judge = Judge(scene, Task("bowl", 0))
    place(scene, BLOCKS[0], above_bowl(scene, offset, 0.08), 0.4)
    assert judge_for(scene, judge, 60) == "success"
    assert judge.reason == "done"


def test_a_block_on_the_rim_of_the_bowl_is_no_success(scene):
    judge = Judge(scene, Task("bowl", 0))
    # Flat on the rim, which is an arc under the block.
    place(scene, BLOCKS[0], above_bowl(scene, 0.066, HEIGHT + SIZE))
    assert judge_for(scene, judge, 60) is None
    assert scene.touching(BLOCKS[0]) == {BOWL}
    assert scene.position(BLOCKS[0])[2] > SURFACE + HEIGHT


def test_a_block_on_a_bowl_that_lies_upside_down_is_no_success(scene):
    start = scene.bowl_position
    place(scene, BOWL, start + [0, 0, HEIGHT])
    scene.data.joint(scene.model.body(BOWL).jntadr[0]).qpos[3:] = [0, 1, 0, 0]
    judge = Judge(scene, Task("bowl", 0))
    place(scene, BLOCKS[0], start + [0, 0, HEIGHT + SIZE])
    assert judge_for(scene, judge, 30) is None
    assert scene.touching(BLOCKS[0]) == {BOWL}
    assert scene.quat(BOWL)[0] < 0.01


def test_a_block_that_moves_in_the_bowl_is_no_success(scene):
    for velocity in ([0.05, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.5]):
        scene.reset(home_layout())
        judge = Judge(scene, Task("bowl", 0))
        place(scene, BLOCKS[0], above_bowl(scene, 0, FLOOR + SIZE))
        for _ in range(10):
            scene.advance(0, TICK, 20)
            scene.data.joint(scene.model.body(BLOCKS[0]).jntadr[0]).qvel[:] = velocity
            assert judge.update() is None


def test_a_block_that_leans_on_the_bowl_is_no_success(scene):
    judge = Judge(scene, Task("bowl", 0))
    place(scene, BLOCKS[0], above_bowl(scene, -RIM_RADIUS - 0.02, HEIGHT + SIZE))
    assert judge_for(scene, judge, 60) is None


@pytest.mark.parametrize("angle", np.linspace(0, 2 * np.pi, 6, endpoint=False))
def test_the_bowl_does_not_tip_or_slide_when_a_block_is_dropped_on_its_rim(scene, angle):
    start = scene.bowl_position
    place(scene, BLOCKS[0], start + [0.07 * np.cos(angle), 0.07 * np.sin(angle), HEIGHT + 0.09])
    scene.advance(0, 2_000_000_000, 600)
    assert scene.quat(BOWL)[0] > 0.9999
    assert np.linalg.norm(scene.bowl_position - start) < 0.01


def test_a_block_in_the_bowl_with_the_gripper_near_is_no_success(scene):
    block = np.array([*home_layout().bowl, SURFACE + FLOOR + SIZE])
    scene.reset(replace(home_layout(), start=tuple(pointing_down(block + [0, 0, 0.05]))))
    judge = Judge(scene, Task("bowl", 0))
    place(scene, BLOCKS[0], block)
    assert judge_for(scene, judge, 20) is None
    scene.control.set_velocity([0, -0.3, 0, 0, 0, 0, 0], "test")
    assert judge_for(scene, judge, 20) == "success"


def test_a_block_in_the_bowl_with_the_gripper_closed_is_no_success(scene):
    judge = Judge(scene, Task("bowl", 0))
    place(scene, BLOCKS[0], above_bowl(scene, 0, 0.06))
    scene.gripper.set_position([0.0], "test")
    assert judge_for(scene, judge, 30) is None
    scene.gripper.set_position([0.04], "test")
    assert judge_for(scene, judge, 30) == "success"


def on_block(scene: Scene, base: int, offset: float, height: float = 0.01) -> np.ndarray:
    return scene.block_positions[base] + [offset, 0, 2 * SIZE + height]


@pytest.mark.parametrize("offset", [0.0, 0.02])
def test_a_block_that_is_dropped_on_the_other_block_is_a_success(scene, offset):
    judge = Judge(scene, Task("stack", 0, 1))
    place(scene, BLOCKS[0], on_block(scene, 1, offset), 0.3)
    assert judge_for(scene, judge, 60) == "success"


def test_a_block_on_the_wrong_block_is_no_success(scene):
    judge = Judge(scene, Task("stack", 0, 1))
    place(scene, BLOCKS[0], on_block(scene, 2, 0.0))
    assert judge_for(scene, judge, 60) is None


def test_a_block_that_falls_off_the_other_block_is_no_success(scene):
    judge = Judge(scene, Task("stack", 0, 1))
    place(scene, BLOCKS[0], on_block(scene, 1, 0.035))
    assert judge_for(scene, judge, 60) is None
    assert abs(scene.position(BLOCKS[0])[2] - SURFACE - SIZE) < 0.012


def test_a_block_next_to_the_other_block_is_no_success(scene):
    judge = Judge(scene, Task("stack", 0, 1))
    place(scene, BLOCKS[0], scene.block_positions[1] + [2.4 * SIZE, 0, 0])
    assert judge_for(scene, judge, 30) is None


def test_a_lifted_block_is_a_success_after_five_ticks(scene):
    judge = Judge(scene, Task("pick", 1))
    scene.model.body_gravcomp[scene.model.body(BLOCKS[1]).id] = 1
    place(scene, BLOCKS[1], scene.block_positions[1] + [0, 0, 0.051])
    assert judge_for(scene, judge, 4) is None
    assert judge_for(scene, judge, 1) == "success"
    assert judge.ticks == 5


def test_a_block_that_is_lifted_too_little_is_no_success(scene):
    judge = Judge(scene, Task("pick", 1))
    scene.model.body_gravcomp[scene.model.body(BLOCKS[1]).id] = 1
    place(scene, BLOCKS[1], scene.block_positions[1] + [0, 0, 0.049])
    assert judge_for(scene, judge, 20) is None


def test_a_block_that_flies_up_again_and_again_is_no_success(scene):
    judge = Judge(scene, Task("pick", 1))
    for _ in range(6):
        place(scene, BLOCKS[1], [0.54, -0.02, SURFACE + SIZE + 0.08])
        assert judge_for(scene, judge, 6) is None


def at_the_fingers(scene: Scene, name: str) -> None:
    """Places a block that floats between the open fingers, in contact with one of them."""
    scene.model.body_gravcomp[scene.model.body(name).id] = 1
    place(scene, name, scene.tcp_position + scene.tcp_rotation @ [0, 0.0145, 0])
    rotation = np.zeros(4)
    mujoco.mju_mat2Quat(rotation, scene.tcp_rotation.ravel())
    scene.data.joint(scene.model.body(name).jntadr[0]).qpos[3:] = rotation


def test_touching_the_named_block_is_a_success(scene):
    judge = Judge(scene, Task("touch", 2))
    assert judge_for(scene, judge, 3) is None
    assert judge.first_touched is None
    at_the_fingers(scene, BLOCKS[2])
    assert judge_for(scene, judge, 1) == "success"
    assert judge.first_touched == 2


def test_touching_another_block_first_is_a_failure(scene):
    judge = Judge(scene, Task("touch", 2))
    scene.model.body_gravcomp[scene.model.body(BLOCKS[0]).id] = 1
    near = Judge(scene, Task("touch", 2))
    near._others.pop(BLOCKS[0])  # it is moved by the test
    at_the_fingers(scene, BLOCKS[0])
    assert judge_for(scene, near, 1) == "failure"
    assert near.reason == "touched red_block first"
    assert judge.first_touched == near.first_touched == 0


@pytest.mark.parametrize(
    "task", [Task("touch", 0), Task("pick", 0), Task("bowl", 0), Task("stack", 0, 1)], ids=lambda task: task.kind
)
@pytest.mark.parametrize("name", [BLOCKS[1], BLOCKS[2], BOWL, DISTRACTORS[0]])
def test_moving_another_object_by_more_than_three_centimetres_is_a_failure(scene, task, name):
    scene.reset(with_distractor(home_layout()))
    start = scene.position(name)
    judge = Judge(scene, task)
    place(scene, name, start + [0.028, 0, 0])
    assert judge_for(scene, judge, 1) is None
    place(scene, name, start + [0.032, 0, 0])
    assert judge_for(scene, judge, 1) == "failure"
    assert judge.reason == f"moved {name}"


def with_distractor(layout: Layout) -> Layout:
    return replace(layout, distractors=(Distractor("cylinder", 0.35, 0.28, 0.0, (0.02, 0.02, 0.02), (0.9, 0.8, 0.2)),))


def test_the_named_block_may_be_moved(scene):
    judge = Judge(scene, Task("pick", 0))
    place(scene, BLOCKS[0], scene.block_positions[0] + [0, 0.06, 0])
    assert judge_for(scene, judge, 3) is None


def test_a_block_that_fell_off_the_table_is_a_failure(scene):
    judge = Judge(scene, Task("pick", 0))
    place(scene, BLOCKS[0], [1.0, 0, 0.02])
    assert judge_for(scene, judge, 15) == "failure"
    assert judge.reason == "the block fell off the table"


def test_a_task_fails_at_its_time_limit(scene):
    judge = Judge(scene, Task("touch", 0))
    outcomes = [judge.update() for _ in range(TIME_LIMITS["touch"] + 1)]
    assert outcomes[:-2] == [None] * (TIME_LIMITS["touch"] - 1)
    assert outcomes[-2:] == ["failure"] * 2
    assert judge.reason == "time limit"


def test_a_success_stays_a_success(scene):
    judge = Judge(scene, Task("pick", 0))
    scene.model.body_gravcomp[scene.model.body(BLOCKS[0]).id] = 1
    place(scene, BLOCKS[0], [0.46, 0.1, 0.1])
    assert judge_for(scene, judge, 5) == "success"
    place(scene, BLOCKS[1], [1.0, 0, -0.5])
    assert judge.update() == "success"


@pytest.mark.parametrize("size", [0.024, 0.027])
def test_blocks_of_every_size_count_in_the_bowl_and_on_a_block(scene, size):
    layout = home_layout()
    blocks = tuple(Block(block.x, block.y, block.yaw, size) for block in layout.blocks)
    for task in (Task("bowl", 1), Task("stack", 1, 2)):
        scene.reset(replace(layout, blocks=blocks))
        judge = Judge(scene, task)
        target = (
            above_bowl(scene, 0.01, 0.08) if task.kind == "bowl" else scene.block_positions[2] + [0.01, 0, 2 * size + 0.01]
        )
        place(scene, BLOCKS[1], target)
        assert judge_for(scene, judge, 60) == "success"


def test_another_time_limit_than_that_of_the_task(scene):
    judge = Judge(scene, Task("touch", 0), time_limit=3)
    assert judge_for(scene, judge, 10) == "failure"
    assert (judge.ticks, judge.reason) == (3, "time limit")
