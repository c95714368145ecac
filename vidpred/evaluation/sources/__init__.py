"""The clips that are scored: cut from videos by a protocol, or written by any program."""
