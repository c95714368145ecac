"""Video data sets: lists, training clips at random, whole evaluation clips."""

import lazy_loader

from vidpred.video import read_clip  # noqa: F401  # a former home of it

# What is public is listed in __init__.pyi and imported when it is first used: some of it needs
# Lightning or torchmetrics, which take seconds that commands such as `compare` have no use for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
