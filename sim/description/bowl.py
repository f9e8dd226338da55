"""The bowl: a flat base and a ring of tilted boxes. The origin is the centre of its underside, z is its axis.

Boxes are cheap to collide with each other, cylinders are not: the round base is only seen, and a square of the same height
inside it collides. With it a physics step takes as long as before, since the walls of the room no longer collide.
"""

from math import atan2, cos, hypot, pi, sin, tan

from sim.description.parts import FreeBody, Inertia, Shape, Vector

WALLS = 12
HEIGHT = 0.042  # m
FLOOR = 0.006  # m, height of the inner floor
FLOOR_RADIUS = 0.052  # m, inner radius at the floor
RIM_RADIUS = 0.068  # m, inner radius at the rim; half the diagonal of the largest block is 0.039
THICKNESS = 0.005  # m, of the walls
BASE_RADIUS = 0.056  # m
SUPPORT = 0.039  # m, half an edge of the square under the base

# A base of 0.15 kg and walls of 0.25 kg.
INERTIA = Inertia(0.4, (0, 0, 0.016), (0.00067, 0.00067, 0.0012))


def bowl(name: str, pos: Vector) -> FreeBody:
    base = (
        Shape("cylinder", (BASE_RADIUS, FLOOR / 2), name, pos=(0, 0, FLOOR / 2), name=f"{name}_base", collides=False),
        Shape("box", (SUPPORT, SUPPORT, FLOOR / 2), name, pos=(0, 0, FLOOR / 2), name=f"{name}_support"),
    )
    return FreeBody(name, pos, INERTIA, (*base, *(wall(name, index) for index in range(WALLS))))


def wall(name: str, index: int) -> Shape:
    """The wall at the angle `index` · 2π / WALLS. Its inner face reaches from the floor to the rim."""
    slope = atan2(RIM_RADIUS - FLOOR_RADIUS, HEIGHT - FLOOR)
    length = hypot(RIM_RADIUS - FLOOR_RADIUS, HEIGHT - FLOOR)
    width = 2 * (RIM_RADIUS + THICKNESS) * tan(pi / WALLS)  # as wide as needed at the outside of the rim
    radius = (FLOOR_RADIUS + RIM_RADIUS) / 2 + THICKNESS / 2 * cos(slope)
    z = (FLOOR + HEIGHT) / 2 - THICKNESS / 2 * sin(slope)
    yaw = 2 * pi * index / WALLS
    # A rotation about z by `yaw` after one about y by `slope`.
    quat = (
        cos(yaw / 2) * cos(slope / 2),
        -sin(yaw / 2) * sin(slope / 2),
        cos(yaw / 2) * sin(slope / 2),
        sin(yaw / 2) * cos(slope / 2),
    )
    return Shape(
        "box",
        rounded((THICKNESS / 2, width / 2, length / 2)),
        name,
        pos=rounded((radius * cos(yaw), radius * sin(yaw), z)),
        quat=rounded(quat),
        name=f"{name}_wall{index + 1}",
    )


def rounded(values: Vector) -> Vector:
    """Rounds to 1e-9, for short numbers in the generated files."""
    return tuple(round(value, 9) for value in values)
