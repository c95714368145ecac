"""Fault tolerance of a run: its folder, its checkpoints, how it is resumed and recovers."""
