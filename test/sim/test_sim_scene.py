"""The scene: its model, resets, state and rendering."""

import itertools

import numpy as np
import pytest

from sim.arm import MODEL, Arm
from sim.cameras import HEIGHT, WIDTH, Cameras
from sim.gl import mujoco
from sim.layouts import home_layout, sample_layout
from sim.scene import BLOCKS, BOWL, DISTRACTORS, SURFACE, Scene
from sim.scene_model import PARKED, compile_model
from sim.tasks import Task

TICK = 66_666_667  # ns
PICK, BOWL_TASK = Task("pick", 0), Task("bowl", 0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def layouts_with(condition, count=3):
    found = (layout for layout in (sample_layout(seed, PICK) for seed in range(1000)) if condition(layout))
    return list(itertools.islice(found, count))


def moving(scene: Scene, ticks=10) -> np.ndarray:
    """Moves the arm and closes the gripper for some ticks. Returns the positions of all joints and objects, [ticks, nq]."""
    scene.control.set_velocity([0.3, 0.6, -0.2, -0.4, 0.1, 0.2, 0.5], "test")
    scene.gripper.set_position([0.01], "test")
    positions = []
    for tick in range(ticks):
        scene.advance(tick * TICK, TICK, 20)
        positions.append(scene.data.qpos.copy())
    return np.array(positions)


def test_the_scene_begins_as_the_arm_file(scene):
    arm = Arm()
    arm.advance(0, 200_000_000, 60)
    scene.reset(home_layout())
    for name in (*BLOCKS, BOWL):
        np.testing.assert_allclose(scene.position(name), arm.data.body(name).xpos, atol=1e-4)
    np.testing.assert_allclose(scene.read().position, arm.read().position, atol=1e-6)
    assert scene.objects == (*BLOCKS, BOWL)


@pytest.mark.parametrize("seed", range(12))
def test_a_reset_places_everything_at_rest(scene, seed):
    layout = sample_layout(seed, BOWL_TASK)
    moving(scene, 3)
    scene.reset(layout)
    for name, block in zip(BLOCKS, layout.blocks, strict=True):
        np.testing.assert_allclose(scene.position(name), [block.x, block.y, SURFACE + block.half_size], atol=3e-4)
    np.testing.assert_allclose(
        np.exp(1j * (scene.block_yaws - [block.yaw for block in layout.blocks])), np.ones(3), atol=2e-3
    )
    np.testing.assert_allclose(scene.bowl_position, [*layout.bowl, SURFACE], atol=3e-4)
    for name, distractor in zip(DISTRACTORS, layout.distractors, strict=False):
        np.testing.assert_allclose(scene.position(name)[:2], [distractor.x, distractor.y], atol=3e-4)
    np.testing.assert_allclose(scene.joint_positions, layout.start, atol=1e-4)
    assert scene.finger_position == pytest.approx(0.04, abs=1e-5)
    for name in scene.objects:
        assert np.abs(scene.velocity(name)).max() < 1e-3
        assert scene.touching(name) == {"table"}
    assert scene.touched == ()
    before = {name: scene.position(name) for name in scene.objects}
    scene.advance(0, 1_000_000_000, 300)
    for name, position in before.items():
        np.testing.assert_allclose(scene.position(name), position, atol=1e-4)


def test_objects_that_a_layout_lacks_are_parked_without_contacts(scene):
    [layout] = layouts_with(lambda layout: not layout.bowl and not layout.distractors, 1)
    scene.reset(layout)
    assert scene.objects == BLOCKS
    scene.advance(0, 1_000_000_000, 300)
    for name, place in zip((BOWL, *DISTRACTORS), PARKED, strict=True):
        np.testing.assert_allclose(scene.position(name), place, atol=1e-9)
        assert scene.touching(name) == set()


def test_the_same_layout_and_commands_give_the_same_motion_after_any_history(scene):
    first, second = sample_layout(1, BOWL_TASK), sample_layout(2, PICK)
    scene.reset(first)
    expected = moving(scene)
    scene.reset(second)
    moving(scene)
    scene.reset(first)
    np.testing.assert_array_equal(moving(scene), expected)
    fresh = Scene()
    fresh.reset(first)
    np.testing.assert_array_equal(moving(fresh), expected)


@pytest.mark.parametrize(
    "other", [sample_layout(1, BOWL_TASK), sample_layout(4, BOWL_TASK)], ids=["same layout", "other layout"]
)
def test_a_restored_snapshot_continues_as_before(scene, other):
    scene.reset(sample_layout(1, BOWL_TASK))
    moving(scene, 4)
    snapshot = scene.snapshot()
    expected = moving(scene)
    reference = scene.control.reference.copy()
    scene.reset(other)
    moving(scene, 2)
    for _ in range(2):
        scene.restore(snapshot)
        np.testing.assert_array_equal(moving(scene), expected)
        np.testing.assert_array_equal(scene.control.reference, reference)


def compiled_with(layout) -> mujoco.MjModel:
    """`arm.xml`, compiled with the block sizes of a layout."""
    spec = mujoco.MjSpec.from_file(str(MODEL))
    for name, block in zip(BLOCKS, layout.blocks, strict=True):
        spec.body(name).geoms[0].size = [block.half_size] * 3
    return spec.compile()


def test_blocks_of_another_size_are_as_if_compiled_with_it():
    [layout] = layouts_with(lambda layout: not layout.distractors, 1)
    scene = Scene()
    scene.reset(layout)
    compiled = compiled_with(layout)
    for name in BLOCKS:
        body, expected = scene.model.body(name), compiled.body(name)
        for field in ("mass", "inertia", "invweight0", "subtreemass", "ipos", "iquat"):
            np.testing.assert_allclose(getattr(body, field), getattr(expected, field), rtol=1e-9, err_msg=field)
        for field in ("size", "rbound", "aabb", "type"):
            np.testing.assert_allclose(
                getattr(scene.model, f"geom_{field}")[body.geomadr[0]],
                getattr(compiled, f"geom_{field}")[expected.geomadr[0]],
                rtol=1e-9,
                atol=1e-12,
                err_msg=field,
            )
        boxes = [model.bvh_aabb[model.body_bvhadr[model.body(name).id]] for model in (scene.model, compiled)]
        np.testing.assert_allclose(*boxes, atol=1e-12)
        for field in ("dof_invweight0", "dof_M0"):
            freedoms = [slice(start := model.body(name).dofadr[0], start + 6) for model in (scene.model, compiled)]
            np.testing.assert_allclose(
                getattr(scene.model, field)[freedoms[0]], getattr(compiled, field)[freedoms[1]], rtol=1e-9, err_msg=field
            )


def test_a_block_that_is_touched_is_recorded_in_the_order_of_contact(scene):
    scene.reset(home_layout())
    assert scene.touched == ()
    for index in (1, 0):
        joint = scene.data.joint(scene.model.body(BLOCKS[index]).jntadr[0])
        joint.qpos[:3] = scene.tcp_position + scene.tcp_rotation @ [0, 0.0145, 0]
        scene.advance(0, TICK, 20)
        joint.qpos[:3] = [0.4, 0.1 * index, 0.03]
    assert scene.touched == (1, 0)
    scene.clear_touched()
    assert scene.touched == ()


def test_a_touch_shorter_than_a_tick_is_recorded(scene):
    scene.reset(home_layout())
    joint = scene.data.joint(scene.model.body(BLOCKS[2]).jntadr[0])
    joint.qpos[:3] = scene.tcp_position + scene.tcp_rotation @ [0, 0.0145, 0]
    scene.advance(0, TICK // 20, 1)
    joint.qpos[:3] = [0.41, -0.12, 0.03]
    scene.advance(0, TICK, 19)
    assert scene.touching(BLOCKS[2]) == {"table"}
    assert scene.touched == (2,)


def test_one_renderer_shows_every_layout():
    """A renderer that was made before a reset gives the same images as one that was made after it."""
    [layout] = layouts_with(
        lambda layout: layout.bowl and len(layout.distractors) == 2 and layout.look.mat_texture != "plain", 1
    )
    scene = Scene()
    cameras = Cameras(scene.model)
    scene.reset(layout)
    images = {name: np.zeros((HEIGHT, WIDTH, 3), np.uint8) for name in ("exterior", "wrist")}
    cameras.render(scene.data.qpos, images)
    cameras.close()
    for name, image in render(scene).items():
        np.testing.assert_array_equal(image, images[name])
        assert image.std() > 10


def test_the_home_layout_looks_like_the_arm_file():
    """Without the distractors, which are out of sight."""
    scene, arm = Scene(), Arm()
    scene.reset(sample_layout(3, PICK))
    scene.reset(home_layout())
    scene.data.qpos[: arm.model.nq] = arm.data.qpos
    for name, image in render(arm).items():
        np.testing.assert_array_equal(render(scene)[name], image)


def render(arm: Arm) -> dict[str, np.ndarray]:
    images = {name: np.zeros((HEIGHT, WIDTH, 3), np.uint8) for name in ("exterior", "wrist")}
    cameras = Cameras(arm.model)
    cameras.render(arm.data.qpos, images)
    cameras.close()
    return images


def test_the_model_has_the_joints_of_the_arm_file_first():
    """So that positions of the arm file are positions of the scene."""
    arm, scene = Arm().model, compile_model()
    names = [[model.joint(index).name for index in range(arm.njnt)] for model in (arm, scene)]
    assert names[0] == names[1]
