"""Conversion of rotations between the conventions of MuJoCo, SDF and URDF. Standard library only."""

import math

from sim.description.parts import Camera, Shape, Vector

Matrix = tuple[Vector, Vector, Vector]
"""A rotation matrix as rows. Its columns are the rotated axes."""


def unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    return tuple(value / length for value in vector)


def cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def columns(x: Vector, y: Vector, z: Vector) -> Matrix:
    return tuple(zip(x, y, z, strict=True))


def from_quat(quat: Vector) -> Matrix:
    w, x, y, z = unit(quat)
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


def rpy(m: Matrix) -> Vector:
    """Roll, pitch, yaw (rad) about the fixed axes x, y, z, as in SDF and URDF."""
    cos_pitch = math.hypot(m[0][0], m[1][0])
    pitch = math.atan2(-m[2][0], cos_pitch)
    if cos_pitch < 1e-9:  # gimbal lock: roll and yaw are the same rotation
        return math.atan2(-m[1][2], m[1][1]), pitch, 0.0
    return math.atan2(m[2][1], m[2][2]), pitch, math.atan2(m[1][0], m[0][0])


def image_axes(camera: Camera) -> tuple[Vector, Vector, Vector]:
    """The orthonormal axes right, up and forward of a camera. `up` is made orthogonal to `right`, as MuJoCo does."""
    right = unit(camera.right)
    projection = sum(a * b for a, b in zip(camera.up, right, strict=True))
    up = unit(tuple(u - projection * r for u, r in zip(camera.up, right, strict=True)))
    return right, up, cross(up, right)


def negative(vector: Vector) -> Vector:
    return tuple(-value for value in vector)


def gazebo_camera(camera: Camera) -> Matrix:
    """The camera frame of Gazebo: x forward, y left, z up (REP 103)."""
    right, up, forward = image_axes(camera)
    return columns(forward, negative(right), up)


def optical_frame(camera: Camera) -> Matrix:
    """The optical frame of ROS: x right, y down, z forward (REP 103)."""
    right, up, forward = image_axes(camera)
    return columns(right, negative(up), forward)


def horizontal_fov(camera: Camera, width: int, height: int) -> float:
    """The horizontal field of view in rad, for square pixels."""
    return 2 * math.atan(math.tan(math.radians(camera.fovy) / 2) * width / height)


def capsule(shape: Shape) -> tuple[Vector, Matrix, float]:
    """The centre of a capsule, the rotation of z onto its axis, and the distance of its ends."""
    a, b = shape.ends[:3], shape.ends[3:]
    z = unit(tuple(q - p for p, q in zip(a, b, strict=True)))
    x = unit(cross((1.0, 0.0, 0.0) if abs(z[0]) < 0.9 else (0.0, 1.0, 0.0), z))
    return tuple((p + q) / 2 for p, q in zip(a, b, strict=True)), columns(x, cross(z, x), z), math.dist(a, b)
