"""`python -m sim.description` generates the files. With `--check` it only compares; status 1 if one is out of date."""

import sys
from pathlib import Path

from sim.description import robot, sdf
from sim.description.mjcf import mjcf
from sim.description.urdf import urdf

SIM = Path(__file__).resolve().parent.parent
MODEL = f"gazebo/{robot.NAME}"


def files() -> dict[Path, str]:
    """The content of each generated file."""
    return {
        SIM / "arm.xml": mjcf(),
        SIM / "gazebo/world.sdf": sdf.world_sdf(),
        SIM / f"{MODEL}/model.sdf": sdf.model_sdf(),
        SIM / f"{MODEL}/model.config": sdf.model_config(),
        SIM / "gazebo/arm.urdf": urdf(),
    }


def out_of_date() -> list[Path]:
    """The files that differ from what the description generates."""
    return [path for path, text in files().items() if not path.exists() or path.read_text() != text]


def main() -> int:
    if "--check" in sys.argv[1:]:
        for path in out_of_date():
            name = path.relative_to(SIM.parent)
            print(f"Expected {name} as generated from sim/description, received another: run python -m sim.description")
        return 1 if out_of_date() else 0
    for path in out_of_date():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files()[path])
        print(f"wrote {path.relative_to(SIM.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
