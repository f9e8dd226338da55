"""`python -m sim` is `python -m sim.robot`."""

from sim.process import run
from sim.robot import main

run(main)
