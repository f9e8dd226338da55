"""The world around the arm: a table with three blocks and a bowl in a plain room, two lights, a camera.

The table top is at z = 0.
"""

from sim.description.bowl import bowl
from sim.description.parts import Block, Camera, Light, Material, Shape

IMAGE_SIZE = (640, 480)  # width, height in pixels
CAMERA_RATE = 30  # Hz
CLIP = (0.01, 12.0)  # m, near and far clipping planes of the cameras
AMBIENT = (0.36, 0.36, 0.38)

MATERIALS = {
    "floor": Material((0.50, 0.53, 0.57), emission=0.1),
    "wall": Material((0.80, 0.85, 0.90), emission=0.35),
    "wood": Material((0.80, 0.68, 0.52), specular=0.05, shininess=0.1),
    "mat": Material((0.91, 0.89, 0.84), specular=0.02, shininess=0.1),
    "edge": Material((0.52, 0.41, 0.29), specular=0.05, shininess=0.1),
    "shell": Material((0.96, 0.96, 0.97), emission=0.12, specular=0.35, shininess=0.55),
    "joint": Material((0.25, 0.28, 0.33), specular=0.3, shininess=0.4),
    "accent": Material((0.11, 0.60, 0.66), specular=0.3, shininess=0.4),
    "rubber": Material((0.13, 0.14, 0.16), specular=0.1, shininess=0.2),
    "red": Material((0.84, 0.15, 0.13), specular=0.15, shininess=0.3),
    "green": Material((0.16, 0.62, 0.27), specular=0.15, shininess=0.3),
    "blue": Material((0.14, 0.33, 0.80), specular=0.15, shininess=0.3),
    "bowl": Material((0.33, 0.30, 0.34), specular=0.1, shininess=0.3),
}

LIGHTS = (
    Light("key", (1, -1, 3), (-0.45, 0.5, -1), diffuse=(0.50, 0.49, 0.46), specular=(0.3, 0.3, 0.3)),
    Light("fill", (-1, 2, 2), (0.5, -0.8, -0.6), diffuse=(0.12, 0.13, 0.15), specular=(0, 0, 0)),
)

CAMERA = Camera("exterior", (1.38, -0.96, 0.9), right=(0.6531, 0.7573, 0), up=(-0.2914, 0.2513, 0.923), fovy=45.0)

# Only the floor collides: a plane that collides is infinite, and checking walls that nothing reaches takes time.
ROOM = (
    Shape("plane", (2, 2.3), "floor", pos=(0.4, 0, -0.72), name="floor"),
    Shape("plane", (2, 2.3), "wall", pos=(-1.6, 0, 1.28), quat=(1, 0, 1, 0), name="wall1", collides=False),
    Shape("plane", (2, 2), "wall", pos=(0.4, 2.3, 1.28), quat=(1, 1, 0, 0), name="wall2", collides=False),
    Shape("plane", (2, 2.3), "wall", pos=(2.4, 0, 1.28), quat=(1, 0, -1, 0), name="wall3", collides=False),
    Shape("plane", (2, 2), "wall", pos=(0.4, -2.3, 1.28), quat=(1, -1, 0, 0), name="wall4", collides=False),
    Shape("plane", (2, 2.3), "wall", pos=(0.4, 0, 3.28), quat=(0, 1, 0, 0), name="ceiling", collides=False),
)

TABLE = (
    Shape("box", (0.56, 0.60, 0.025), "wood", pos=(0.36, 0, -0.025), name="table"),
    Shape("box", (0.26, 0.36, 0.0005), "mat", pos=(0.52, 0, 0.0005), name="mat"),
    Shape("box", (0.52, 0.56, 0.025), "edge", pos=(0.36, 0, -0.075), name="table_edge"),
    Shape("box", (0.03, 0.03, 0.31), "edge", pos=(0.84, 0.52, -0.41), name="leg1"),
    Shape("box", (0.03, 0.03, 0.31), "edge", pos=(0.84, -0.52, -0.41), name="leg2"),
    Shape("box", (0.03, 0.03, 0.31), "edge", pos=(-0.12, 0.52, -0.41), name="leg3"),
    Shape("box", (0.03, 0.03, 0.31), "edge", pos=(-0.12, -0.52, -0.41), name="leg4"),
)

BLOCK_SIZE = 0.026  # m, half an edge
BLOCK_DENSITY = 500.0  # kg/m³
BLOCKS = (
    Block("red_block", "red", (0.46, 0.10, 0.027)),
    Block("green_block", "green", (0.54, -0.02, 0.027), (0.966, 0, 0, 0.259)),
    Block("blue_block", "blue", (0.41, -0.12, 0.027), (0.985, 0, 0, -0.174)),
)

BOWL = bowl("bowl", (0.60, 0.20, 0.001))
