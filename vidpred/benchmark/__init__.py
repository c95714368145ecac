"""Benchmarks: rows trained on equal budgets, scored in one pass, with what each costs."""

import lazy_loader

# What is public is listed in __init__.pyi and imported when it is first used: the processes that
# measure costs need none of it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
