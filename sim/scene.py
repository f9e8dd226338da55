"""The arm with the objects of a layout. One compiled model for all layouts: a reset changes only fields of the model, so that
a renderer of the model stays valid.
"""

import copy
from dataclasses import dataclass

import numpy as np

from sim.arm import Arm
from sim.control import ArmController, GripperController
from sim.description import world
from sim.gl import mujoco
from sim.layouts import Distractor, Layout, home_layout
from sim.look import TEXTURES, CameraError, Look
from sim.scene_model import DISTRACTORS, PARKED, compile_model, texture_material
from sim.tasks import COLOURS

BLOCKS = tuple(f"{colour}_block" for colour in COLOURS)
BOWL = world.BOWL.name
HAND_BODIES = ("panda_hand", "panda_leftfinger", "panda_rightfinger")
HAND = "hand"  # the hand and both fingers, in contacts
TABLE = "table"  # everything that is fixed, in contacts

SURFACE = next(2 * shape.size[2] for shape in world.TABLE if shape.name == "mat")  # m, the height of the mat
SETTLE_STEPS = 60  # physics steps at the end of a reset
SETTLE_TIME = 200_000_000  # ns
OPEN = 0.04  # m, position of the open fingers

GEOM_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
CONTACT_SCALE = {"box": (1.0, 1.0, 1.0), "cylinder": (0.8, 0.8, 1.0), "ellipsoid": (0.6, 0.6, 1.0)}
"""Half sizes of the box that collides, as fractions of those of the distractor."""
DISTRACTOR_DENSITY = 500.0  # kg/m³


@dataclass(frozen=True)
class Snapshot:
    """The state of a scene, of Scene.snapshot."""

    layout: Layout
    state: np.ndarray
    control: ArmController
    gripper: GripperController
    touched: tuple[int, ...]


class Scene(Arm):
    """The arm and the objects of a layout; that of `arm.xml` to begin with. Times are those of the caller."""

    def __init__(self) -> None:
        super().__init__(compile_model())
        model = self.model
        names = (*BLOCKS, BOWL, *DISTRACTORS)
        self._bodies = {name: model.body(name).id for name in names}
        joints = {name: model.body(name).jntadr[0] for name in names}
        self._positions = {name: int(model.jnt_qposadr[joint]) for name, joint in joints.items()}
        self._velocities = {name: int(model.jnt_dofadr[joint]) for name, joint in joints.items()}
        self._tcp = model.site("tcp").id
        self._owners = self._owner_of_each_geom()
        self._hand_on_block = self._touch_table()
        self._statistic = (model.stat.meaninertia, model.stat.extent, model.stat.center.copy())
        self._camera_poses = {
            camera.name: (camera.id, camera.pos.copy(), camera.quat.copy(), float(camera.fovy[0]))
            for camera in (model.camera("exterior"), model.camera("wrist"))
        }
        self._touched: list[int] = []
        self.layout: Layout
        self.reset(home_layout())

    def reset(self, layout: Layout) -> None:
        """Applies a layout: the objects at rest on the mat, the arm still at the start pose, the gripper open."""
        self._apply(layout)
        mujoco.mj_resetData(self.model, self.data)
        for name, block in zip(BLOCKS, layout.blocks, strict=True):
            self._place(name, (block.x, block.y, SURFACE + block.half_size), block.yaw)
        self._place(BOWL, (*layout.bowl, SURFACE) if layout.bowl else PARKED[0], 0.0)
        for index, name in enumerate(DISTRACTORS):
            if index < len(layout.distractors):
                distractor = layout.distractors[index]
                self._place(name, (distractor.x, distractor.y, SURFACE + distractor.half_size[2]), distractor.yaw)
            else:
                self._place(name, PARKED[1 + index], 0.0)
        self.data.qpos[self._qpos] = (*layout.start, OPEN, OPEN)
        self.reset_controllers()
        self.advance(0, SETTLE_TIME, SETTLE_STEPS)
        self.reset_controllers()
        self.data.time = 0
        self.clear_touched()

    def advance(self, now: int, duration: int, steps: int) -> None:
        super().advance(now, duration, steps)
        mujoco.mj_kinematics(self.model, self.data)  # so that the pose of the TCP is of the end of the last step

    # The state, as copies

    @property
    def joint_positions(self) -> np.ndarray:
        """[7], rad."""
        return self.data.qpos[self._qpos[:7]]

    @property
    def finger_position(self) -> float:
        """m, 0 (closed) to 0.04 (open)."""
        return float(self.data.qpos[self._qpos[7]])

    @property
    def tcp_position(self) -> np.ndarray:
        """The tool centre point between the fingertips, [3] m."""
        return self.data.site_xpos[self._tcp].copy()

    @property
    def tcp_rotation(self) -> np.ndarray:
        """[3, 3]; the columns are the axes of the hand: y is the direction of the fingers' motion, z points out of the hand."""
        return self.data.site_xmat[self._tcp].reshape(3, 3).copy()

    @property
    def block_positions(self) -> np.ndarray:
        """The centres in the order of COLOURS, [3, 3] m."""
        return np.array([self.position(name) for name in BLOCKS])

    @property
    def block_quats(self) -> np.ndarray:
        """[3, 4], (w, x, y, z)."""
        return np.array([self.quat(name) for name in BLOCKS])

    @property
    def block_yaws(self) -> np.ndarray:
        """The direction of each block's x axis in the horizontal plane, [3] rad."""
        w, x, y, z = self.block_quats.T
        return np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))

    @property
    def block_half_sizes(self) -> np.ndarray:
        """[3], m."""
        return np.array([block.half_size for block in self.layout.blocks])

    @property
    def bowl_position(self) -> np.ndarray:
        """The centre of the underside, [3] m. Without a bowl it is far away, at PARKED[0]."""
        return self.position(BOWL)

    @property
    def objects(self) -> tuple[str, ...]:
        """The bodies of the layout that can be moved, by name."""
        bowl = (BOWL,) if self.layout.bowl else ()
        return (*BLOCKS, *bowl, *DISTRACTORS[: len(self.layout.distractors)])

    def position(self, name: str) -> np.ndarray:
        """The origin of an object, [3] m."""
        start = self._positions[name]
        return self.data.qpos[start : start + 3].copy()

    def quat(self, name: str) -> np.ndarray:
        """[4], (w, x, y, z)."""
        start = self._positions[name]
        return self.data.qpos[start + 3 : start + 7].copy()

    def velocity(self, name: str) -> np.ndarray:
        """[6]: linear (m/s), then angular (rad/s)."""
        start = self._velocities[name]
        return self.data.qvel[start : start + 6].copy()

    # Contacts

    @property
    def touched(self) -> tuple[int, ...]:
        """The blocks that the hand or a finger has touched since the reset or `clear_touched`, in that order."""
        return tuple(self._touched)

    def clear_touched(self) -> None:
        self._touched.clear()

    def touching(self, name: str) -> set[str]:
        """What an object is in contact with: names of objects, HAND, TABLE or "arm"."""
        pairs = self._owners[self.data.contact.geom]
        return {str(b if a == name else a) for a, b in pairs if name in (a, b)}

    # Saving and restoring

    def snapshot(self) -> Snapshot:
        """The whole state of the physics and of the controllers."""
        state = np.empty(mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return Snapshot(self.layout, state, copy.deepcopy(self.control), copy.deepcopy(self.gripper), self.touched)

    def restore(self, snapshot: Snapshot) -> None:
        """Goes back to a snapshot, also to one of another layout. The same commands then give the same motion."""
        if snapshot.layout != self.layout:
            self._apply(snapshot.layout)
        mujoco.mj_setState(self.model, self.data, snapshot.state, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(self.model, self.data)  # contacts and poses; it changes the warm start of the solver
        mujoco.mj_setState(self.model, self.data, snapshot.state, mujoco.mjtState.mjSTATE_INTEGRATION)
        self.control = copy.deepcopy(snapshot.control)
        self.gripper = copy.deepcopy(snapshot.gripper)
        self._touched[:] = snapshot.touched

    # Changes of the model

    def _step(self) -> None:
        super()._step()
        if len(self._touched) == len(BLOCKS) or not self.data.ncon:
            return
        first, second = self.data.contact.geom.T
        blocks = self._hand_on_block[first, second]
        if blocks.max() >= 0:
            self._touched += [int(block) for block in dict.fromkeys(blocks) if block >= 0 and block not in self._touched]

    def _owner_of_each_geom(self) -> np.ndarray:
        """[geoms], the name in contacts of what each geom belongs to."""
        model = self.model
        owners = []
        for body in (model.body(index) for index in model.geom_bodyid):
            if body.name in self._bodies:
                owners.append(body.name)
            elif body.weldid[0] == 0:
                owners.append(TABLE)
            else:
                owners.append(HAND if body.name in HAND_BODIES else "arm")
        return np.array(owners)

    def _touch_table(self) -> np.ndarray:
        """[geoms, geoms], the block if one geom is of a block and the other of the hand, else -1."""
        table = np.full((self.model.ngeom,) * 2, -1)
        hand = self._owners == HAND
        for index, name in enumerate(BLOCKS):
            block = self._owners == name
            table[np.ix_(hand, block)] = table[np.ix_(block, hand)] = index
        return table

    def _place(self, name: str, position, yaw: float) -> None:
        """Places an object. One that is parked floats: nothing supports it."""
        start = self._positions[name]
        self.data.qpos[start : start + 7] = (*position, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2))

    def _apply(self, layout: Layout) -> None:
        self.layout = layout
        model = self.model
        for name, block in zip(BLOCKS, layout.blocks, strict=True):
            geom = model.body(name).geomadr[0]
            self._resize(name, geom, (block.half_size,) * 3, world.BLOCK_DENSITY)
        for index, name in enumerate(DISTRACTORS):
            if index < len(layout.distractors):
                self._shape_distractor(name, layout.distractors[index])
        model.body_gravcomp[[self._bodies[name] for name in (BOWL, *DISTRACTORS)]] = 1
        model.body_gravcomp[[self._bodies[name] for name in self.objects]] = 0
        mujoco.mj_setConst(model, self.data)
        # mj_setConst also computes the statistics of the model, which the clipping planes of the cameras depend on.
        model.stat.meaninertia, model.stat.extent, model.stat.center[:] = self._statistic
        self._apply_look(layout.look)

    def _shape_distractor(self, name: str, distractor: Distractor) -> None:
        geom = self.model.geom(name).id
        half_size = np.array(distractor.half_size)
        self.model.geom_type[geom] = GEOM_TYPES[distractor.kind]
        self.model.geom_rgba[geom, :3] = distractor.rgb
        self._set_geom_size(geom, half_size)
        contact = half_size * CONTACT_SCALE[distractor.kind]
        self._resize(name, self.model.geom(f"{name}_contact").id, contact, DISTRACTOR_DENSITY)

    def _resize(self, name: str, geom: int, half_size, density: float) -> None:
        """Gives a body of one box its size, with the mass and the moments of inertia that follow."""
        half_size = np.array(half_size)
        body = self._bodies[name]
        mass = density * 8 * np.prod(half_size)
        self._set_geom_size(geom, half_size)
        self.model.body_mass[body] = mass
        self.model.body_inertia[body] = mass / 3 * (np.sum(half_size**2) - half_size**2)
        bounds = self.model.geom_aabb[self._geoms_of(body), 3:].max(axis=0)
        first = self.model.body_bvhadr[body]
        self.model.bvh_aabb[first : first + self.model.body_bvhnum[body], 3:] = bounds

    def _set_geom_size(self, geom: int, half_size: np.ndarray) -> None:
        """Sets the size of a box, a cylinder or an ellipsoid and the bounds of its collision tests."""
        model = self.model
        kind = model.geom_type[geom]
        cylinder = kind == mujoco.mjtGeom.mjGEOM_CYLINDER
        model.geom_size[geom] = (half_size[0], half_size[2], 0) if cylinder else half_size
        corner = half_size[1:] if cylinder else half_size
        model.geom_rbound[geom] = max(half_size) if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID else np.linalg.norm(corner)
        model.geom_aabb[geom, 3:] = half_size

    def _geoms_of(self, body: int) -> slice:
        first = self.model.body_geomadr[body]
        return slice(first, first + self.model.body_geomnum[body])

    def _apply_look(self, look: Look) -> None:
        model = self.model
        for light, description in zip(look.lights, world.LIGHTS, strict=True):
            index = model.light(description.name).id
            model.light_dir[index] = np.array(light.direction) / np.linalg.norm(light.direction)
            model.light_diffuse[index] = light.diffuse
        model.vis.headlight.ambient[:] = look.ambient
        for surface, geom, texture in (("wood", "table", look.table_texture), ("mat", "mat", look.mat_texture)):
            model.geom_matid[model.geom(geom).id] = model.mat(texture_material(surface, texture)).id
        for name, rgb in look.colours:
            for texture in TEXTURES if name in ("wood", "mat") else TEXTURES[:1]:
                model.mat_rgba[model.mat(texture_material(name, texture)).id, :3] = rgb
        for name, error in (("exterior", look.exterior), ("wrist", look.wrist)):
            self._set_camera(name, error)

    def _set_camera(self, name: str, error: CameraError) -> None:
        index, position, quat, fovy = self._camera_poses[name]
        offset, rotation, turned = np.zeros(3), np.zeros(4), np.zeros(4)
        mujoco.mju_rotVecQuat(offset, np.array(error.position), quat)
        vector = np.array(error.rotation)
        angle = np.linalg.norm(vector)
        mujoco.mju_axisAngle2Quat(rotation, vector / angle if angle else np.array([1.0, 0, 0]), angle)
        mujoco.mju_mulQuat(turned, quat, rotation)
        self.model.cam_pos[index] = position + offset
        self.model.cam_quat[index] = turned
        self.model.cam_fovy[index] = fovy + error.fovy
