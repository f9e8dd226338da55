"""The description as Gazebo's SDF: the arm, a model of its own, and the world that it stands in.

Links are where MuJoCo's bodies are, each in its parent's frame, so the two are compared joint by joint. What SDF cannot say
stays out: the drives' armature, the stiffness of contacts, and that finger 2 follows finger 1 (gz_ros2_control reads that
from the URDF)."""

from xml.etree.ElementTree import Element

from sim.description import robot, world
from sim.description.geometry import capsule, from_quat, gazebo_camera, horizontal_fov, rpy
from sim.description.parts import FRICTION, Camera, Joint, Link, Material, Shape, Vector
from sim.description.text import add, document, numbers, rounded

VERSION = "1.9"
STEP = 0.001  # s, of Gazebo's physics

SYSTEMS = (
    ("gz-sim-physics-system", "gz::sim::systems::Physics"),
    ("gz-sim-user-commands-system", "gz::sim::systems::UserCommands"),
    ("gz-sim-scene-broadcaster-system", "gz::sim::systems::SceneBroadcaster"),
)
CONTROLLERS = "configs/gz_controllers.yaml"
"""As Gazebo finds it: from the folder that it was started in, which is the package's root."""


def model() -> str:
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


def scene() -> str:
    """The world, which names the arm's model."""
    root = Element("sdf", version=VERSION)
    place = add(root, "world", name="pi05")
    physics = add(place, "physics", name="default", type="ode")
    add(physics, "max_step_size", STEP)
    add(physics, "real_time_factor", 1)
    for filename, name in SYSTEMS:
        add(place, "plugin", filename=filename, name=name)
    sensors = add(place, "plugin", filename="gz-sim-sensors-system", name="gz::sim::systems::Sensors")
    add(sensors, "render_engine", "ogre2")
    look = add(place, "scene")
    add(look, "ambient", numbers((*world.AMBIENT, 1)))
    add(look, "background", "0.8 0.85 0.9 1")
    add(look, "shadows", "false")
    for light in world.LIGHTS:
        lamp = add(place, "light", name=light.name, type="directional")
        add(lamp, "cast_shadows", "false")
        add(lamp, "pose", numbers((*light.pos, 0, 0, 0)))
        add(lamp, "diffuse", numbers((*light.diffuse, 1)))
        add(lamp, "specular", numbers((*light.specular, 1)))
        add(lamp, "direction", numbers(light.direction))
    # Walls are to be seen, not to be met: a plane that collides has no edge.
    write_static(place, "room", world.ROOM, collide=("floor",))
    write_static(place, "table", world.TABLE, collide=tuple(shape.name for shape in world.TABLE))
    for block in world.BLOCKS:
        write_block(place, block)
    write_static(place, f"{world.CAMERA.name}_camera", (), (), world.CAMERA)
    add(add(place, "include"), "uri", f"model://{robot.NAME}")
    return document(root)


def write_static(place: Element, name: str, shapes, collide, camera: Camera | None = None) -> None:
    thing = add(place, "model", name=name)
    add(thing, "static", "true")
    link = add(thing, "link", name="link")
    for shape in shapes:
        write_shape(link, shape, shape.name, FRICTION, collides=shape.name in collide)
    if camera:
        write_camera(link, camera)


def write_block(place: Element, block) -> None:
    half = world.BLOCK_SIZE
    mass = world.BLOCK_DENSITY * (2 * half) ** 3
    cube = add(place, "model", name=block.name)
    write_pose(cube, block.pos, rpy(from_quat(block.quat)))
    link = add(cube, "link", name="link")
    write_inertia(link, mass, None, (mass * (2 * half) ** 2 / 6,) * 3)
    write_shape(link, Shape("box", (half,) * 3, block.material), "cube", FRICTION)


def write_link(arm: Element, link: Link) -> None:
    """A link without mass is a frame."""
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
    """At the child's origin, about an axis of the child's frame."""
    kind = link.joint.kind if link.joint else "fixed"
    hinge = add(arm, "joint", name=link.joint.name if link.joint else f"{link.name}_joint", type=kind)
    add(hinge, "parent", link.parent)
    add(hinge, "child", link.name)
    if link.joint:
        write_axis(hinge, link.joint)


def write_axis(hinge: Element, joint: Joint) -> None:
    axis = add(hinge, "axis")
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


def write_shape(body: Element, shape: Shape, name: str, friction: Vector, collides: bool = True) -> None:
    for tag in ("collision", "visual") if collides else ("visual",):
        part = add(body, tag, name=f"{name}_{tag}")
        pos, turn = (shape.pos, from_quat(shape.quat)) if not shape.ends else capsule(shape)[:2]
        write_pose(part, pos, rpy(turn))
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
    double = tuple(2 * value for value in shape.size)
    if shape.kind == "box":
        add(kind, "size", numbers(rounded(double)))
    elif shape.kind == "plane":
        add(kind, "normal", "0 0 1")
        add(kind, "size", numbers(double))
    else:
        add(kind, "radius", shape.size[0])
        if shape.kind == "cylinder":
            add(kind, "length", rounded(double)[1])
        elif shape.kind == "capsule":
            add(kind, "length", round(capsule(shape)[2], 12))


def write_material(material: Element, look: Material) -> None:
    add(material, "ambient", numbers((*look.rgb, 1)))
    add(material, "diffuse", numbers((*look.rgb, 1)))
    add(material, "specular", numbers((*(look.specular,) * 3, 1)))
    add(material, "emissive", numbers((*rounded(tuple(look.emission * value for value in look.rgb)), 1)))


def write_camera(body: Element, camera: Camera) -> None:
    name = f"{camera.name}_camera"
    sensor = add(body, "sensor", name=name, type="camera")
    write_pose(sensor, camera.pos, rpy(gazebo_camera(camera)))
    add(sensor, "update_rate", world.CAMERA_RATE)
    add(sensor, "always_on", "true")
    add(sensor, "topic", f"{name}/image_raw")
    view = add(sensor, "camera")
    add(view, "camera_info_topic", f"{name}/camera_info")
    add(view, "horizontal_fov", round(horizontal_fov(camera, *world.PICTURE), 12))
    image = add(view, "image")
    for tag, value in zip(("width", "height"), world.PICTURE, strict=True):
        add(image, tag, value)
    add(image, "format", "R8G8B8")
    clip = add(view, "clip")
    for tag, value in zip(("near", "far"), world.CLIP, strict=True):
        add(clip, tag, value)
    add(view, "optical_frame_id", f"{name}_optical_frame")


def write_pose(parent: Element, pos: Vector, turn: Vector = (0.0, 0.0, 0.0), relative_to: str = "") -> None:
    add(parent, "pose", numbers(rounded((*pos, *turn))), relative_to=relative_to)
