"""Compiles the MuJoCo model of the scene: `arm.xml` with two distractors, and textures for table and mat."""

import numpy as np

from sim.arm import MODEL
from sim.gl import mujoco
from sim.look import TEXTURES

DISTRACTORS = ("distractor1", "distractor2")
PARKED = ((1.9, -1.7, 2.6), (2.1, -1.9, 2.6), (1.9, -1.9, 2.8))
"""Where the bowl and the distractors are if a layout has none: in the air, behind the exterior camera, m."""

TEXTURE_SIZE = 256  # pixels
TEXTURE_LENGTH = 0.5  # m on the table


def scene_spec() -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_file(str(MODEL))
    home = list(spec.keys[0].qpos)
    for name, place in zip(DISTRACTORS, PARKED[1:], strict=True):
        add_distractor(spec, name, place)
        home += [*place, 1, 0, 0, 0]
    spec.keys[0].qpos = home
    for texture in TEXTURES[1:]:
        add_texture(spec, texture)
    return spec


def compile_model() -> mujoco.MjModel:
    return scene_spec().compile()


def add_distractor(spec: mujoco.MjSpec, name: str, place: tuple[float, float, float]) -> None:
    """Adds a free body with two geoms: NAME is visible, and the box NAME_contact inside it collides.

    Cylinders and ellipsoids would make a physics step twice as slow, and they would roll.
    """
    body = spec.worldbody.add_body(name=name, pos=place, gravcomp=1)
    body.add_freejoint()
    body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.02] * 3, contype=0, conaffinity=0, mass=0)
    body.add_geom(name=f"{name}_contact", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.02] * 3, rgba=[0] * 4, density=400)


def texture_material(surface: str, texture: str) -> str:
    """The name of the material of a surface (wood or mat) with a texture."""
    return surface if texture == TEXTURES[0] else f"{surface}_{texture}"


def add_texture(spec: mujoco.MjSpec, texture: str) -> None:
    """Adds a grey texture and a material of each surface with it. The colour of a material multiplies the texture."""
    pixels = np.clip(brightness(texture) * 255, 0, 255).astype(np.uint8)
    added = spec.add_texture(
        name=texture,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=TEXTURE_SIZE,
        height=TEXTURE_SIZE,
        nchannel=3,
    )
    added.data = np.repeat(pixels[..., None], 3, axis=2).tobytes()
    for surface in ("wood", "mat"):
        plain = spec.material(surface)
        material = spec.add_material(
            name=texture_material(surface, texture),
            rgba=plain.rgba,
            emission=plain.emission,
            specular=plain.specular,
            shininess=plain.shininess,
            texuniform=True,
            texrepeat=[1 / TEXTURE_LENGTH] * 2,
        )
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture


def brightness(texture: str) -> np.ndarray:
    """A texture [size, size] in 0 … 1 that repeats without a seam."""
    y, x = np.mgrid[0:TEXTURE_SIZE, 0:TEXTURE_SIZE] / TEXTURE_SIZE  # periods of the texture
    rng = np.random.default_rng(TEXTURES.index(texture))
    if texture == "grain":  # wood along x
        offset = sum(np.sin(2 * np.pi * (k * x + rng.random())) / k for k in (1, 2, 3)) * 0.02
        lines = sum(np.sin(2 * np.pi * (k * (y + offset) + rng.random())) for k in (5, 11, 17, 29)) / 4
        return 0.86 + 0.14 * lines
    if texture == "speckle":
        return 0.88 + 0.12 * np.tanh(2 * smooth_noise(rng, 3))
    if texture == "weave":
        return 0.87 + 0.13 * np.sin(2 * np.pi * 24 * x) * np.sin(2 * np.pi * 24 * y)
    if texture == "checker":
        return np.where((np.floor(x * 8) + np.floor(y * 8)) % 2 == 0, 1.0, 0.78)
    if texture == "stripes":
        return np.where(np.floor(y * 8) % 2 == 0, 1.0, 0.8)
    raise ValueError(f"Expected one of {', '.join(TEXTURES[1:])} for texture, received {texture}")


def smooth_noise(rng: np.random.Generator, width: float) -> np.ndarray:
    """Noise [size, size] with standard deviation 1, low-pass filtered to about `width` pixels, periodic."""
    frequency = np.fft.fftfreq(TEXTURE_SIZE)
    gain = np.exp(-2 * (np.pi * width) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(TEXTURE_SIZE, TEXTURE_SIZE))) * gain).real
    return noise / noise.std()
