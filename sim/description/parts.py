"""The elements of a description. Units are m, rad and kg; quaternions are (w, x, y, z) and need not be normalised."""

from dataclasses import dataclass

Vector = tuple[float, ...]
ORIGIN: Vector = (0.0, 0.0, 0.0)
UPRIGHT: Vector = (1.0, 0.0, 0.0, 0.0)
FRICTION: Vector = (1.0, 0.01, 0.001)  # sliding, torsional, rolling


@dataclass(frozen=True)
class Material:
    rgb: Vector
    specular: float = 0.0
    shininess: float = 0.0  # 0 … 1
    emission: float = 0.0  # as a fraction of rgb


@dataclass(frozen=True)
class Shape:
    """A primitive shape. The meaning of `size` depends on `kind`:

    - box: half sizes
    - cylinder: radius, half length along z
    - sphere: radius
    - plane: half sizes; the normal is z
    - capsule: radius; `ends` are the centres of its caps (x y z x y z)
    """

    kind: str
    size: Vector
    material: str
    pos: Vector = ORIGIN
    quat: Vector = UPRIGHT
    ends: Vector = ()
    name: str = ""
    collides: bool = True


@dataclass(frozen=True)
class Inertia:
    """Mass in kg, centre of mass in the frame of the link, principal moments of inertia about the axes of the link."""

    mass: float
    pos: Vector
    moments: Vector


@dataclass(frozen=True)
class Joint:
    """The joint between a link and its parent, at the origin of the link.

    A joint with `follows` has no servo: it mimics the joint of that name.
    """

    name: str
    kind: str  # revolute | prismatic
    axis: Vector
    lower: float
    upper: float
    velocity: float  # rad/s or m/s, limit of the controller
    effort: float  # N m or N
    damping: float
    home: float
    kp: float = 0.0  # gains of the MuJoCo servo
    kv: float = 0.0
    follows: str = ""


@dataclass(frozen=True)
class Camera:
    """A camera with square pixels and no distortion.

    `right` and `up` are the image axes in the frame of the link, of any length.
    """

    name: str
    pos: Vector
    right: Vector
    up: Vector
    fovy: float  # vertical field of view, degrees


@dataclass(frozen=True)
class Link:
    """A link of the kinematic tree; parents are listed first.

    `pos` and `quat` are its pose in the frame of the parent with the joint at 0. Without a joint it is fixed. Without
    `inertia` it is only a frame, except for the first link, which is fixed to the world.
    """

    name: str
    parent: str
    pos: Vector = ORIGIN
    quat: Vector = UPRIGHT
    inertia: Inertia | None = None
    joint: Joint | None = None
    shapes: tuple[Shape, ...] = ()
    friction: Vector = FRICTION
    camera: Camera | None = None
    site: tuple[str, Vector] | None = None  # a named point


@dataclass(frozen=True)
class Block:
    """A cube on the table."""

    name: str
    material: str
    pos: Vector
    quat: Vector = UPRIGHT


@dataclass(frozen=True)
class FreeBody:
    """A rigid body of several shapes that can be moved."""

    name: str
    pos: Vector
    inertia: Inertia
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Light:
    """A directional light without shadows."""

    name: str
    pos: Vector
    direction: Vector
    diffuse: Vector
    specular: Vector
