"""How a layout looks: light, colours, textures and small errors of the camera poses. Plain data, without MuJoCo.

Colours are rgb in 0 … 1.
"""

import colorsys
from dataclasses import dataclass

import numpy as np

from sim.description import world

Colour = tuple[float, float, float]

TEXTURES = ("plain", "grain", "speckle", "weave", "checker", "stripes")
"""Surfaces of the table and the mat."""

DEFAULT_SHARE = 0.15
"""The share of layouts that look like `arm.xml`."""


@dataclass(frozen=True)
class CameraError:
    """How a camera differs from the description: position (m) and rotation vector (rad), both in the camera's axes (x right,
    y up, z backward), and vertical field of view (degrees).
    """

    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fovy: float = 0.0


@dataclass(frozen=True)
class LightLook:
    direction: tuple[float, float, float]
    diffuse: Colour


@dataclass(frozen=True)
class Look:
    """`lights`: key and fill. `ambient`: light from everywhere. `colours`: by material of the description."""

    lights: tuple[LightLook, ...]
    ambient: Colour
    colours: tuple[tuple[str, Colour], ...]
    table_texture: str
    mat_texture: str
    exterior: CameraError
    wrist: CameraError


RANDOM_MATERIALS = ("floor", "wall", "wood", "mat", "red", "green", "blue", "bowl")
"""The materials whose colours a look changes."""

DEFAULT_LOOK = Look(
    lights=tuple(LightLook(light.direction, light.diffuse) for light in world.LIGHTS),
    ambient=world.AMBIENT,
    colours=tuple((name, world.MATERIALS[name].rgb) for name in RANDOM_MATERIALS),
    table_texture="plain",
    mat_texture="plain",
    exterior=CameraError(),
    wrist=CameraError(),
)


def sample_look(rng: np.random.Generator) -> Look:
    if rng.random() < DEFAULT_SHARE:
        return DEFAULT_LOOK
    mat = pale(rng, 0.22, (0.4, 0.97))
    colours = {
        "floor": pale(rng, 0.2, (0.3, 0.75)),
        "wall": pale(rng, 0.2, (0.55, 0.95)),
        "wood": pale(rng, 0.4, (0.3, 0.9), hue=(0.04, 0.14)) if rng.random() < 0.6 else pale(rng, 0.2, (0.25, 0.95)),
        "mat": mat,
        **{name: varied(rng, world.MATERIALS[name].rgb) for name in ("red", "green", "blue")},
        "bowl": bowl_colour(rng, mat),
    }
    brightness = rng.uniform(0.8, 1.15)
    tint = rng.uniform(0.94, 1.06, 3)
    return Look(
        lights=(
            sample_light(rng, world.LIGHTS[0], brightness * tint),
            sample_light(rng, world.LIGHTS[1], brightness * tint),
        ),
        ambient=colour(np.array(world.AMBIENT) * rng.uniform(0.8, 1.15) * tint),
        colours=tuple(colours.items()),
        table_texture=sample_texture(rng),
        mat_texture=sample_texture(rng),
        exterior=sample_camera(rng, 0.015, 1.0),
        wrist=sample_camera(rng, 0.002, 0.5),
    )


def sample_texture(rng: np.random.Generator) -> str:
    """A software renderer takes up to half as long again with textures, so not every layout has them."""
    return TEXTURES[0] if rng.random() < 0.4 else TEXTURES[int(rng.integers(1, len(TEXTURES)))]


def colour(values) -> Colour:
    return tuple(float(value) for value in np.clip(values, 0, 1))


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    return colour(colorsys.hsv_to_rgb(hue % 1, min(saturation, 1), min(value, 1)))


def brightness_of(rgb: Colour) -> float:
    """Luma (ITU-R BT.601), 0 … 1."""
    return float(np.dot(rgb, (0.299, 0.587, 0.114)))


def pale(rng: np.random.Generator, saturation: float, value: tuple[float, float], hue=(0.0, 1.0)) -> Colour:
    """A colour that no block has: its saturation is at most `saturation`."""
    return from_hsv(rng.uniform(*hue), rng.uniform(0, saturation), rng.uniform(*value))


def varied(rng: np.random.Generator, rgb: Colour) -> Colour:
    """A colour with the same name: the hue differs by at most 8 degrees."""
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    return from_hsv(hue + rng.uniform(-8, 8) / 360, saturation * rng.uniform(0.88, 1.1), value * rng.uniform(0.85, 1.15))


def bowl_colour(rng: np.random.Generator, mat: Colour) -> Colour:
    """A pale colour that stands out from the mat."""
    while True:
        rgb = pale(rng, 0.3, (0.15, 0.97))
        if abs(brightness_of(rgb) - brightness_of(mat)) > 0.22:
            return rgb


def distractor_colour(rng: np.random.Generator) -> Colour:
    """Yellow, purple, or a shade of grey: no colour of a block."""
    hue, saturation, value = (
        (rng.uniform(48, 58), rng.uniform(0.7, 0.95), rng.uniform(0.75, 0.95)),
        (rng.uniform(278, 300), rng.uniform(0.5, 0.75), rng.uniform(0.4, 0.65)),
        (rng.uniform(0, 360), rng.uniform(0, 0.08), rng.uniform(0.08, 0.9)),
    )[int(rng.integers(3))]
    return from_hsv(hue / 360, saturation, value)


def sample_light(rng: np.random.Generator, light, factor: np.ndarray) -> LightLook:
    """A light from about the same direction (within 35 degrees), brighter or darker."""
    direction = np.array(light.direction) / np.linalg.norm(light.direction)
    axis = np.cross(direction, rng.normal(size=3))
    axis /= np.linalg.norm(axis)
    angle = np.radians(35) * np.sqrt(rng.random())
    turned = direction * np.cos(angle) + np.cross(axis, direction) * np.sin(angle)
    return LightLook(tuple(turned.tolist()), colour(np.array(light.diffuse) * factor * rng.uniform(0.75, 1.25)))


def sample_camera(rng: np.random.Generator, distance: float, degrees: float) -> CameraError:
    """Errors of up to `distance` (m) and `degrees` along each axis, and of 1 degree of the field of view."""
    angle = np.radians(degrees)
    return CameraError(
        tuple(rng.uniform(-distance, distance, 3).tolist()),
        tuple(rng.uniform(-angle, angle, 3).tolist()),
        float(rng.uniform(-1, 1)),
    )
