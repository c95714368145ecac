"""The version; files inside read it here, because none imports the facade `vidpred`."""

__version__ = "0.2.0.dev0"
