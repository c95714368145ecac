"""Data sets from their own sites: downloads, archives, the layout on the disk."""
