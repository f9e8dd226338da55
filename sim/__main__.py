"""`python -m sim` is `python -m sim.robot`."""

from sim.robot import run

run()
