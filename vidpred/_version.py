"""The version; files inside read it here, because none imports the facade `vidpred`."""

__version__ = "0.1.0"
