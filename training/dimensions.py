"""The dimensions of a Pi0.5 model: what `pi05_model.json` holds."""

import dataclasses
import json
import pathlib

FORMAT = "pi05-model/1"


@dataclasses.dataclass(frozen=True)
class Vision:
    """SigLIP: an image of `image_size` pixels gives `tokens` tokens of `hidden` values."""

    hidden: int
    layers: int
    mlp: int
    heads: int
    image_size: int
    patch: int

    @property
    def tokens(self) -> int:
        return (self.image_size // self.patch) ** 2


@dataclasses.dataclass(frozen=True)
class Prefix:
    """The Gemma of images and text."""

    width: int
    layers: int
    mlp: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int


@dataclasses.dataclass(frozen=True)
class Expert:
    """The Gemma of action tokens. Layers, kv_heads and head_dim equal the prefix's."""

    width: int
    layers: int
    mlp: int
    heads: int
    kv_heads: int
    head_dim: int


@dataclasses.dataclass(frozen=True)
class Action:
    """A chunk is [horizon, dim]."""

    dim: int
    horizon: int


@dataclasses.dataclass(frozen=True)
class Rtc:
    """`trained_max_delay`: the longest known prefix of a chunk that the model was trained with, in steps."""

    trained_max_delay: int = 0


@dataclasses.dataclass(frozen=True)
class Dimensions:
    vision: Vision
    prefix: Prefix
    expert: Expert
    action: Action
    num_steps: int = 10
    max_token_len: int = 200
    rtc: Rtc = Rtc()

    def __post_init__(self) -> None:
        pairs = [
            (getattr(self.prefix, name), getattr(self.expert, name)) for name in ("layers", "kv_heads", "head_dim")
        ]
        if any(a != b for a, b in pairs):
            raise ValueError(f"Expected equal layers, kv_heads and head_dim of prefix and expert, received {pairs}")
        if self.prefix.kv_heads != 1:
            raise ValueError(f"Expected 1 K/V head, which all query heads share, received {self.prefix.kv_heads}")
        if self.vision.hidden % self.vision.heads != 0 or self.vision.image_size % self.vision.patch != 0:
            raise ValueError(f"Expected heads to divide hidden and patch to divide image_size, received {self.vision}")

    @classmethod
    def from_file(cls, path: str | pathlib.Path) -> "Dimensions":
        """Reads `pi05_model.json`. Members that only the engine uses (family, resize, …) are ignored."""
        values = json.loads(pathlib.Path(path).read_text())
        if values.get("format") != FORMAT:
            raise ValueError(f"Expected format {FORMAT} in {path}, received {values.get('format')}")
        parts = {"vision": Vision, "prefix": Prefix, "expert": Expert, "action": Action, "rtc": Rtc}
        sizes = {name: part(**values[name]) for name, part in parts.items() if name in values}
        return cls(**sizes, **{name: values[name] for name in ("num_steps", "max_token_len") if name in values})

    def to_file(self, path: str | pathlib.Path) -> None:
        """Writes `pi05_model.json`."""
        pathlib.Path(path).write_text(json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=2) + "\n")


def demo_dimensions() -> Dimensions:
    """The dimensions of `checkpoints/demo`: 144 tokens an image, a prompt of at most 128 tokens."""
    return Dimensions(
        vision=Vision(hidden=192, layers=5, mlp=512, heads=3, image_size=192, patch=16),
        prefix=Prefix(width=192, layers=5, mlp=512, heads=4, kv_heads=1, head_dim=64, vocab=768),
        expert=Expert(width=192, layers=5, mlp=448, heads=4, kv_heads=1, head_dim=64),
        action=Action(dim=32, horizon=15),
        max_token_len=128,
        rtc=Rtc(trained_max_delay=8),
    )
