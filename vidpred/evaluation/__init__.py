"""Protocols, scoring, comparing, the report."""

import lazy_loader

# What is public is listed in __init__.pyi and imported when it is first used: some of it needs
# Lightning or torchmetrics, which take seconds that commands such as `compare` have no use for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
