"""`vidpred predict` in this process."""

from pathlib import Path

import numpy as np

from vidpred.cli.main import main

FRAMES = 30


def array(path: str | Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def predict(*arguments: str | Path) -> int:
    return main(["predict", *map(str, arguments)])
