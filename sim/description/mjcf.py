"""Generates the MuJoCo model (MJCF) from the description."""

from xml.etree.ElementTree import Element

from sim.description import robot, world
from sim.description.parts import FRICTION, ORIGIN, UPRIGHT, Camera, FreeBody, Inertia, Joint, Link, Shape
from sim.description.text import add, document, numbers

# The arm collides with the world; links do not collide with each other.
WORLD_CONTACT = {"contype": 1, "conaffinity": 3}
NO_CONTACT = {"contype": 0, "conaffinity": 0}
ARM_CONTACT = {"contype": 2, "conaffinity": 0}
STEP = 1 / 300  # s


def mjcf() -> str:
    root = Element("mujoco", model=robot.NAME)
    add(root, "compiler", angle="radian", autolimits="true")
    add(root, "option", timestep=STEP, integrator="implicitfast", cone="elliptic", impratio=10)
    add(root, "statistic", center=(0.4, 0, 0.3), extent=1.4)
    write_visuals(root)
    default = add(root, "default")
    add(default, "geom", **WORLD_CONTACT, condim=4, friction=FRICTION)
    add(add(default, "default", class_="arm"), "geom", **ARM_CONTACT, mass=0)
    block = add(default, "default", class_="block")
    add(block, "geom", type="box", size=(world.BLOCK_SIZE,) * 3, density=world.BLOCK_DENSITY)
    write_world(root)
    write_actuators(root)
    home = [joint.home for joint in robot.JOINTS]
    blocks = [value for block in world.BLOCKS for value in (*block.pos, *block.quat)]
    bowl = (*world.BOWL.pos, *UPRIGHT)
    targets = [joint.home for joint in robot.JOINTS if not joint.follows]
    add(add(root, "keyframe"), "key", name="home", qpos=(*blocks, *bowl, *home), ctrl=tuple(targets))
    return document(root)


def write_visuals(root: Element) -> None:
    """No shadows, multisampling or textures, and few facets: a software renderer then needs about 5 ms for an image."""
    visual = add(root, "visual")
    add(visual, "global", offwidth=world.IMAGE_SIZE[0], offheight=world.IMAGE_SIZE[1])
    add(visual, "quality", shadowsize=0, offsamples=0, numslices=20, numstacks=10, numquads=2)
    add(visual, "headlight", ambient=world.AMBIENT, diffuse=(0.12, 0.12, 0.12), specular=ORIGIN)
    add(visual, "map", znear=world.CLIP[0], zfar=world.CLIP[1])
    asset = add(root, "asset")
    for name, material in world.MATERIALS.items():
        add(
            asset,
            "material",
            name=name,
            rgba=(*material.rgb, 1),
            emission=material.emission,
            specular=material.specular,
            shininess=material.shininess,
        )


def write_world(root: Element) -> None:
    body = add(root, "worldbody")
    for light in world.LIGHTS:
        add(
            body,
            "light",
            name=light.name,
            directional="true",
            pos=light.pos,
            dir=light.direction,
            diffuse=light.diffuse,
            specular=light.specular,
            castshadow="false",
        )
    write_camera(body, world.CAMERA)
    for shape in (*world.ROOM, *world.TABLE):
        write_shape(body, shape)
    for block in world.BLOCKS:
        cube = add(body, "body", name=block.name, pos=block.pos, quat=unless_upright(block.quat), childclass="block")
        add(cube, "freejoint")
        add(cube, "geom", material=block.material)
    write_free_body(body, world.BOWL)
    bodies = {"world": body}
    for link in robot.LINKS:
        bodies[link.name] = write_link(bodies[link.parent], link)


def write_free_body(parent: Element, free: FreeBody) -> None:
    body = add(parent, "body", name=free.name, pos=free.pos)
    add(body, "freejoint")
    write_inertia(body, free.inertia)
    for shape in free.shapes:
        write_shape(body, shape).set("mass", "0")


def write_link(parent: Element, link: Link) -> Element:
    fixed = link.parent == "world"
    body = add(parent, "body", name=link.name, pos=unless_origin(link.pos), quat=unless_upright(link.quat))
    if not fixed:
        body.set("gravcomp", "1")
        if link.parent == robot.LINKS[0].name:
            body.set("childclass", "arm")
    if link.inertia:
        write_inertia(body, link.inertia)
    if link.joint:
        write_joint(body, link.joint)
    if link.site:
        add(body, "site", name=link.site[0], pos=unless_origin(link.site[1]), group=4)
    for shape in link.shapes:
        geom = write_shape(body, shape)
        if link.friction != FRICTION:
            geom.set("friction", numbers(link.friction))
    if link.camera:
        write_camera(body, link.camera)
    return body


def write_inertia(body: Element, inertia: Inertia) -> None:
    add(body, "inertial", pos=inertia.pos, mass=inertia.mass, diaginertia=inertia.moments)


def write_joint(body: Element, joint: Joint) -> None:
    add(
        body,
        "joint",
        name=joint.name,
        type="hinge" if joint.kind == "revolute" else "slide",
        axis=joint.axis,
        range=(joint.lower, joint.upper),
        armature=robot.ARMATURE,
        damping=joint.damping,
    )


def write_shape(body: Element, shape: Shape) -> Element:
    return add(
        body,
        "geom",
        name=shape.name,
        type=shape.kind,
        size=(*shape.size, 0.1) if shape.kind == "plane" else shape.size,
        pos=unless_origin(shape.pos),
        quat=unless_upright(shape.quat),
        fromto=shape.ends,
        material=shape.material,
        **({} if shape.collides else NO_CONTACT),
    )


def write_camera(body: Element, camera: Camera) -> None:
    add(body, "camera", name=camera.name, pos=camera.pos, fovy=camera.fovy, xyaxes=(*camera.right, *camera.up))


def write_actuators(root: Element) -> None:
    for joint in robot.JOINTS:
        if joint.follows:
            add(
                add(root, "equality"),
                "joint",
                name="mimic",
                joint1=joint.name,
                joint2=joint.follows,
                polycoef=(0, 1, 0, 0, 0),
                solref=(0.005, 1),
            )
    actuator = add(root, "actuator")
    for joint in robot.JOINTS:
        if joint.follows:
            continue
        servo = add(
            actuator,
            "position",
            name=joint.name,
            joint=joint.name,
            kp=joint.kp,
            kv=joint.kv,
            forcerange=(-joint.effort, joint.effort),
        )
        if joint.kind == "revolute":
            servo.set("inheritrange", "1")


def unless_origin(pos) -> tuple | str:
    """The position, or '' for the default, which `add` leaves out."""
    return "" if tuple(pos) == ORIGIN else pos


def unless_upright(quat) -> tuple | str:
    """The rotation, or '' for the default, which `add` leaves out."""
    return "" if tuple(quat) == UPRIGHT else quat
