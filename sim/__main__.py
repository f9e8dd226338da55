"""`python -m sim`: the same as `python -m sim.robot`."""

from sim.process import run_main
from sim.robot import main

run_main(main)
