"""What a description is made of. Metres, radians, kilograms; quaternions are (w, x, y, z) and need not be normalised."""

from dataclasses import dataclass

Vector = tuple[float, ...]
ORIGIN: Vector = (0.0, 0.0, 0.0)
UPRIGHT: Vector = (1.0, 0.0, 0.0, 0.0)
FRICTION: Vector = (1.0, 0.01, 0.001)  # sliding, torsional, rolling


@dataclass(frozen=True)
class Material:
    rgb: Vector
    specular: float = 0.0
    shininess: float = 0.0  # 0 dull … 1
    emission: float = 0.0  # of its own colour


@dataclass(frozen=True)
class Shape:
    """`kind` box: half sizes; cylinder: radius, half length along z; sphere: radius; plane: half sizes, facing z;
    capsule: radius, between the centres `ends` (x y z x y z) of its caps."""

    kind: str
    size: Vector
    material: str
    pos: Vector = ORIGIN
    quat: Vector = UPRIGHT
    ends: Vector = ()
    name: str = ""


@dataclass(frozen=True)
class Inertia:
    """Mass at `pos` in the link's frame, with principal moments along the link's axes."""

    mass: float
    pos: Vector
    moments: Vector


@dataclass(frozen=True)
class Joint:
    """Of a link to its parent, at the link's origin. `follows` names the joint that it mimics instead of a servo."""

    name: str
    kind: str  # revolute | prismatic
    axis: Vector
    lower: float
    upper: float
    velocity: float  # rad/s or m/s that its controller allows
    effort: float  # N m or N
    damping: float
    home: float
    kp: float = 0.0  # MuJoCo's servo
    kv: float = 0.0
    follows: str = ""


@dataclass(frozen=True)
class Camera:
    """Square pixels, no distortion. `right` and `up` are the picture's axes in the link's frame, any length."""

    name: str
    pos: Vector
    right: Vector
    up: Vector
    fovy: float  # degrees from the top of the picture to its bottom


@dataclass(frozen=True)
class Link:
    """Of the tree, parents first. `pos` and `quat` place it in its parent's frame while its joint is at 0; without a joint it is
    fixed. Without `inertia` it is a frame only, but for the first, which is fixed to the world."""

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
    """A cube that lies about."""

    name: str
    material: str
    pos: Vector
    quat: Vector = UPRIGHT


@dataclass(frozen=True)
class Light:
    """Directional, without shadows."""

    name: str
    pos: Vector
    direction: Vector
    diffuse: Vector
    specular: Vector
