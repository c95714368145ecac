"""The command line: one file a command; importing it is cheap."""
