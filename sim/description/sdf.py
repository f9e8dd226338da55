"""Generates the files for Gazebo (SDF) from the description: the model of the arm and the world that includes it.

Each link has the pose of the MuJoCo body in the frame of its parent, so that a test can compare the two joint by joint. SDF
cannot express the armature of the joints, the stiffness of contacts, and that finger 2 mimics finger 1 (gz_ros2_control
reads that from the URDF).
"""

from xml.etree.ElementTree import Element

from sim.description import robot, world
from sim.description.geometry import capsule, from_quat, gazebo_camera, horizontal_fov, rpy
from sim.description.parts import FRICTION, Camera, FreeBody, Joint, Link, Material, Shape, Vector
from sim.description.text import add, document, numbers, rounded

VERSION = "1.9"
STEP = 0.001  # s, physics step of Gazebo

SYSTEMS = (
    ("gz-sim-physics-system", "gz::sim::systems::Physics"),
    ("gz-sim-user-commands-system", "gz::sim::systems::UserCommands"),
    ("gz-sim-scene-broadcaster-system", "gz::sim::systems::SceneBroadcaster"),
)
CONTROLLERS = "configs/gz_controllers.yaml"
"""Relative to the working directory of Gazebo, which is the root of the package."""


def model_sdf() -> str:
    root = Element("sdf", version=VERSION)
    arm = add(root, "model", name=robot.NAME, canonical_link=robot.LINKS[0].name)
    for link in robot.LINKS:
        write_link(arm, link)
    base = robot.LINKS[0].name
    add(fixed := add(arm, "joint", name=f"{base}_to_world", type="fixed"), "parent", "world")
    add(fixed, "child", base)
    for link in robot.LINKS[1:]:
        if link.joint or link.inertia:
            write_joint(arm, link)
    plugin = add(arm, "plugin", filename="gz_ros2_control-system", name="gz_ros2_control::GazeboSimROS2ControlPlugin")
    add(plugin, "parameters", CONTROLLERS)
    return document(root)


def model_config() -> str:
    root = Element("model")
    add(root, "name", robot.NAME)
    add(root, "version", "1.0")
    add(root, "sdf", "model.sdf", version=VERSION)
    add(root, "description", "A 7-joint arm with the Franka Panda's joints and frames, from primitive shapes.")
    return document(root)


def world_sdf() -> str:
    """The world, which includes the model of the arm."""
    root = Element("sdf", version=VERSION)
    world_element = add(root, "world", name="pi05")
    physics = add(world_element, "physics", name="default", type="ode")
    add(physics, "max_step_size", STEP)
    add(physics, "real_time_factor", 1)
    for filename, name in SYSTEMS:
        add(world_element, "plugin", filename=filename, name=name)
    sensors = add(world_element, "plugin", filename="gz-sim-sensors-system", name="gz::sim::systems::Sensors")
    add(sensors, "render_engine", "ogre2")
    scene = add(world_element, "scene")
    add(scene, "ambient", numbers((*world.AMBIENT, 1)))
    add(scene, "background", "0.8 0.85 0.9 1")
    add(scene, "shadows", "false")
    for light in world.LIGHTS:
        element = add(world_element, "light", name=light.name, type="directional")
        add(element, "cast_shadows", "false")
        add(element, "pose", numbers((*light.pos, 0, 0, 0)))
        add(element, "diffuse", numbers((*light.diffuse, 1)))
        add(element, "specular", numbers((*light.specular, 1)))
        add(element, "direction", numbers(light.direction))
    write_static(world_element, "room", world.ROOM)
    write_static(world_element, "table", world.TABLE)
    for block in world.BLOCKS:
        write_block(world_element, block)
    write_free_body(world_element, world.BOWL)
    write_static(world_element, f"{world.CAMERA.name}_camera", (), world.CAMERA)
    add(add(world_element, "include"), "uri", f"model://{robot.NAME}")
    return document(root)


def write_static(world_element: Element, name: str, shapes, camera: Camera | None = None) -> None:
    model = add(world_element, "model", name=name)
    add(model, "static", "true")
    link = add(model, "link", name="link")
    for shape in shapes:
        write_shape(link, shape, shape.name, FRICTION)
    if camera:
        write_camera(link, camera)


def write_block(world_element: Element, block) -> None:
    half = world.BLOCK_SIZE
    mass = world.BLOCK_DENSITY * (2 * half) ** 3
    model = add(world_element, "model", name=block.name)
    write_pose(model, block.pos, rpy(from_quat(block.quat)))
    link = add(model, "link", name="link")
    write_inertia(link, mass, None, (mass * (2 * half) ** 2 / 6,) * 3)
    write_shape(link, Shape("box", (half,) * 3, block.material), "cube", FRICTION)


def write_free_body(world_element: Element, free: FreeBody) -> None:
    model = add(world_element, "model", name=free.name)
    write_pose(model, free.pos)
    link = add(model, "link", name="link")
    write_inertia(link, free.inertia.mass, free.inertia.pos, free.inertia.moments)
    for shape in free.shapes:
        write_shape(link, shape, shape.name, FRICTION)


def write_link(arm: Element, link: Link) -> None:
    """Writes a link, or a frame if it has no mass."""
    base = link.parent == "world"
    body = add(arm, "link" if base or link.inertia else "frame", name=link.name)
    if not base:
        if not link.inertia:
            body.set("attached_to", link.parent)
        write_pose(body, link.pos, rpy(from_quat(link.quat)), relative_to=link.parent)
    if link.inertia:
        add(body, "gravity", "false")
        write_inertia(body, link.inertia.mass, link.inertia.pos, link.inertia.moments)
    for index, shape in enumerate(link.shapes):
        write_shape(body, shape, shape.name or f"{link.name}_{index}", link.friction)
    if link.camera:
        write_camera(body, link.camera)


def write_joint(arm: Element, link: Link) -> None:
    """Writes the joint of a link. The axis is in the frame of the link."""
    kind = link.joint.kind if link.joint else "fixed"
    joint = add(arm, "joint", name=link.joint.name if link.joint else f"{link.name}_joint", type=kind)
    add(joint, "parent", link.parent)
    add(joint, "child", link.name)
    if link.joint:
        write_axis(joint, link.joint)


def write_axis(parent: Element, joint: Joint) -> None:
    axis = add(parent, "axis")
    add(axis, "xyz", numbers(joint.axis))
    limit = add(axis, "limit")
    add(limit, "lower", joint.lower)
    add(limit, "upper", joint.upper)
    add(limit, "effort", joint.effort)
    add(limit, "velocity", joint.velocity)
    add(add(axis, "dynamics"), "damping", joint.damping)


def write_inertia(body: Element, mass: float, pos: Vector | None, moments: Vector) -> None:
    inertial = add(body, "inertial")
    if pos:
        write_pose(inertial, pos)
    add(inertial, "mass", round(mass, 12))
    inertia = add(inertial, "inertia")
    for name, value in zip(("ixx", "iyy", "izz"), rounded(moments), strict=True):
        add(inertia, name, value)
    for name in ("ixy", "ixz", "iyz"):
        add(inertia, name, 0)


def write_shape(body: Element, shape: Shape, name: str, friction: Vector) -> None:
    for tag in ("collision", "visual") if shape.collides else ("visual",):
        part = add(body, tag, name=f"{name}_{tag}")
        pos, rotation = (shape.pos, from_quat(shape.quat)) if not shape.ends else capsule(shape)[:2]
        write_pose(part, pos, rpy(rotation))
        write_geometry(add(part, "geometry"), shape)
        if tag == "collision":
            ode = add(add(add(part, "surface"), "friction"), "ode")
            add(ode, "mu", friction[0])
            add(ode, "mu2", friction[0])
        else:
            add(part, "cast_shadows", "false")
            write_material(add(part, "material"), world.MATERIALS[shape.material])


def write_geometry(geometry: Element, shape: Shape) -> None:
    kind = add(geometry, shape.kind)
    full_size = tuple(2 * value for value in shape.size)
    if shape.kind == "box":
        add(kind, "size", numbers(rounded(full_size)))
    elif shape.kind == "plane":
        add(kind, "normal", "0 0 1")
        add(kind, "size", numbers(full_size))
    else:
        add(kind, "radius", shape.size[0])
        if shape.kind == "cylinder":
            add(kind, "length", rounded(full_size)[1])
        elif shape.kind == "capsule":
            add(kind, "length", round(capsule(shape)[2], 12))


def write_material(parent: Element, material: Material) -> None:
    add(parent, "ambient", numbers((*material.rgb, 1)))
    add(parent, "diffuse", numbers((*material.rgb, 1)))
    add(parent, "specular", numbers((*(material.specular,) * 3, 1)))
    add(parent, "emissive", numbers((*rounded(tuple(material.emission * value for value in material.rgb)), 1)))


def write_camera(body: Element, camera: Camera) -> None:
    name = f"{camera.name}_camera"
    sensor = add(body, "sensor", name=name, type="camera")
    write_pose(sensor, camera.pos, rpy(gazebo_camera(camera)))
    add(sensor, "update_rate", world.CAMERA_RATE)
    add(sensor, "always_on", "true")
    add(sensor, "topic", f"{name}/image_raw")
    view = add(sensor, "camera")
    add(view, "camera_info_topic", f"{name}/camera_info")
    add(view, "horizontal_fov", round(horizontal_fov(camera, *world.IMAGE_SIZE), 12))
    image = add(view, "image")
    for tag, value in zip(("width", "height"), world.IMAGE_SIZE, strict=True):
        add(image, tag, value)
    add(image, "format", "R8G8B8")
    clip = add(view, "clip")
    for tag, value in zip(("near", "far"), world.CLIP, strict=True):
        add(clip, tag, value)
    add(view, "optical_frame_id", f"{name}_optical_frame")


def write_pose(parent: Element, pos: Vector, rotation: Vector = (0.0, 0.0, 0.0), relative_to: str = "") -> None:
    add(parent, "pose", numbers(rounded((*pos, *rotation))), relative_to=relative_to)
