"""One pass over the clips, in which every method is scored."""
