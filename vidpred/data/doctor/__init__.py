"""Checks of a data set: what is wrong with it, and what to do about it."""
