"""The simulated arm, said once: robot.py and world.py. `python -m sim.description` writes what MuJoCo and Gazebo read from it."""
