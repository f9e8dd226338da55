"""What an evaluation measures and how its results are summarised. No ROS. See docs/evaluation.md."""
