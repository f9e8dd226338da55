"""The single description of the simulated arm (robot.py) and its world (world.py).

`python -m sim.description` generates the files for MuJoCo and Gazebo from it.
"""
