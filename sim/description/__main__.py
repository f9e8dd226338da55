"""`python -m sim.description` writes the files; with `--check` it only compares, and exits 1 where one is stale."""

import sys
from pathlib import Path

from sim.description import robot, sdf
from sim.description.mjcf import mjcf
from sim.description.urdf import urdf

SIM = Path(__file__).resolve().parent.parent
MODEL = f"gazebo/{robot.NAME}"


def files() -> dict[Path, str]:
    return {
        SIM / "arm.xml": mjcf(),
        SIM / "gazebo/world.sdf": sdf.scene(),
        SIM / f"{MODEL}/model.sdf": sdf.model(),
        SIM / f"{MODEL}/model.config": sdf.model_config(),
        SIM / "gazebo/arm.urdf": urdf(),
    }


def stale() -> list[Path]:
    """The files that are not what the description says."""
    return [path for path, text in files().items() if not path.exists() or path.read_text() != text]


def main() -> int:
    if "--check" in sys.argv[1:]:
        for path in stale():
            print(f"Expected what sim/description says in {path.relative_to(SIM.parent)}: run python -m sim.description")
        return 1 if stale() else 0
    for path in stale():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files()[path])
        print(f"wrote {path.relative_to(SIM.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
