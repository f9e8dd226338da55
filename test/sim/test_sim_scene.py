"""The scene: its model, resets, state and rendering."""

import itertools

import numpy as np
import pytest

from sim.arm import Arm
from sim.cameras import HEIGHT, WIDTH, Cameras
from sim.gl import mujoco
from sim.layouts import home_layout, sample_layout
from sim.scene import BLOCKS, BOWL, CONTACT_SCALE, DISTRACTOR_DENSITY, DISTRACTORS, GEOM_TYPES, SURFACE, Scene
from sim.scene_model import PARKED, compile_model, scene_spec
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
    """The model, compiled with the sizes of a layout."""
    spec = scene_spec()
    for name, block in zip(BLOCKS, layout.blocks, strict=True):
        spec.body(name).geoms[0].size = [block.half_size] * 3
    for name, distractor in zip(DISTRACTORS, layout.distractors, strict=True):
        visible, contact = spec.body(name).geoms
        visible.type, contact.density = GEOM_TYPES[distractor.kind], DISTRACTOR_DENSITY
        radius, _, height = distractor.half_size
        visible.size = (radius, height, 0) if distractor.kind == "cylinder" else distractor.half_size
        contact.size = np.multiply(distractor.half_size, CONTACT_SCALE[distractor.kind])
    return spec.compile()


@pytest.mark.parametrize("kind", ["cylinder", "box", "ellipsoid"])
def test_objects_of_another_size_are_as_if_compiled_with_it(scene, kind):
    [layout] = layouts_with(lambda layout: len(layout.distractors) == 2 and layout.distractors[0].kind == kind, 1)
    scene.reset(layout)
    model, expected = scene.model, compiled_with(layout)
    for field in ("mass", "inertia", "invweight0", "subtreemass", "ipos", "iquat"):
        compare(model, expected, f"body_{field}", 1e-9)
    for field in ("type", "size", "rbound", "aabb"):
        compare(model, expected, f"geom_{field}", 1e-9)
    for field in ("invweight0", "M0"):
        compare(model, expected, f"dof_{field}", 1e-9)
    for name in BLOCKS:
        box = model.body_bvhadr[model.body(name).id]
        np.testing.assert_allclose(model.bvh_aabb[box], expected.bvh_aabb[box], atol=1e-12)
    assert (model.bvh_aabb[: model.nbvhstatic, 3:] >= expected.bvh_aabb[: model.nbvhstatic, 3:] - 1e-12).all()


def compare(model: mujoco.MjModel, expected: mujoco.MjModel, field: str, tolerance: float) -> None:
    np.testing.assert_allclose(getattr(model, field), getattr(expected, field), rtol=tolerance, atol=1e-12, err_msg=field)


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


def test_a_reset_applies_the_look(scene):
    [layout] = layouts_with(lambda layout: layout.look.table_texture == "grain" and layout.look.mat_texture == "weave", 1)
    scene.reset(home_layout())
    before = {name: camera_pose(scene, name) for name in ("exterior", "wrist")}
    start = scene.snapshot().state
    scene.reset(layout)
    mujoco.mj_setState(scene.model, scene.data, start, mujoco.mjtState.mjSTATE_INTEGRATION)
    model, look = scene.model, layout.look
    for surface, geom in (("wood_grain", "table"), ("mat_weave", "mat")):
        assert model.mat(int(model.geom(geom).matid[0])).name == surface
    for name, rgb in look.colours:
        material = {"wood": "wood_grain", "mat": "mat_weave"}.get(name, name)
        np.testing.assert_allclose(model.mat(material).rgba[:3], rgb, atol=1e-6)
    for name, light in zip(("key", "fill"), look.lights, strict=True):
        np.testing.assert_allclose(model.light(name).dir, light.direction, atol=1e-6)
        np.testing.assert_allclose(model.light(name).diffuse, light.diffuse, atol=1e-6)
    np.testing.assert_allclose(model.vis.headlight.ambient, look.ambient, atol=1e-6)
    for name, error in (("exterior", look.exterior), ("wrist", look.wrist)):
        (position, rotation, fovy), (moved, turned, widened) = before[name], camera_pose(scene, name)
        np.testing.assert_allclose(rotation.T @ (moved - position), error.position, atol=1e-9)
        # For a small angle, the axis of a rotation times twice its sine is in the antisymmetric part of the matrix.
        small = rotation.T @ turned
        axis = np.array([small[2, 1] - small[1, 2], small[0, 2] - small[2, 0], small[1, 0] - small[0, 1]]) / 2
        np.testing.assert_allclose(axis, error.rotation, atol=1e-5)
        assert widened - fovy == pytest.approx(error.fovy, abs=1e-5)
        assert 0 < np.abs(error.position).max() <= (0.015 if name == "exterior" else 0.002)
        assert 0 < np.degrees(np.abs(error.rotation)).max() <= (1 if name == "exterior" else 0.5)
        assert 0 < abs(error.fovy) <= 1


def camera_pose(scene: Scene, name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Position [3] and rotation [3, 3] in the world, vertical field of view."""
    mujoco.mj_kinematics(scene.model, scene.data)
    mujoco.mj_camlight(scene.model, scene.data)
    camera = scene.data.camera(name)
    return camera.xpos.copy(), camera.xmat.reshape(3, 3).copy(), float(scene.model.camera(name).fovy[0])


def test_distractors_have_the_colours_and_shapes_of_the_layout(scene):
    [layout] = layouts_with(lambda layout: len(layout.distractors) == 2, 1)
    scene.reset(layout)
    for name, distractor in zip(DISTRACTORS, layout.distractors, strict=True):
        np.testing.assert_allclose(scene.model.geom(name).rgba, [*distractor.rgb, 1], atol=1e-6)
        assert scene.model.geom(name).type == GEOM_TYPES[distractor.kind]


def test_objects_that_a_layout_lacks_are_out_of_sight(scene):
    for layout in layouts_with(lambda layout: not layout.bowl and not layout.distractors, 2):
        scene.reset(layout)
        expected = render(scene)
        parked = np.isin(scene.model.geom_bodyid, [scene.model.body(name).id for name in (BOWL, *DISTRACTORS)])
        groups = scene.model.geom_group.copy()
        scene.model.geom_group[parked] = 5  # not rendered
        for name, image in render(scene).items():
            np.testing.assert_array_equal(image, expected[name])
        scene.model.geom_group[:] = groups


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
