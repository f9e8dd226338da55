"""Compares the modes of execution by the seams between their chunks. `python -m sim.seams`, see docs/motion.md."""
