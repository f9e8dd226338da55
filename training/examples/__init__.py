"""New tasks, as examples for docs/train-your-own.md."""
