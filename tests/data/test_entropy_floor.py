"""The floor of Moving MNIST: against the generator itself, and against closed forms."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from vidpred.data.digits_world import digit_places
from vidpred.data.entropy_floor import entropy_floor, gray_nats, place_nats
from vidpred.data.mnist_sequences import DigitSequences
from vidpred.errors import SettingError


def places_of(seed: int, num_frames: int, side: int = 64) -> np.ndarray:
    return digit_places(1, (seed,), num_frames=num_frames, side=side)[1]


def test_all_next_places_are_certain_together() -> None:
    """Given some places, the probabilities of all that may follow sum to 1."""
    for seed in range(3):
        known = places_of(seed, 5)
        last, total = known[-1], 0.0
        for row, column in product(range(-5, 6), repeat=2):
            here = last + np.array([row, column])
            if ((here >= 0) & (here <= 36)).all():
                path = np.vstack([known, here])
                total += math.exp(-place_nats(path, free=36, directions=1 << 13)[-1])
        assert total == pytest.approx(1, abs=1e-6)


def test_places_are_as_likely_as_the_generator_draws_them() -> None:
    """On a way of 3 pixels, where places repeat: shares of 4,000 drawn paths of three frames."""
    count = 4000
    drawn = [tuple(places_of(seed, 3, side=31).flatten()) for seed in range(count)]
    paths, counts = np.unique(drawn, axis=0, return_counts=True)
    for path, times in zip(paths, counts, strict=True):
        nats = place_nats(path.reshape(3, 2), free=3, directions=1 << 12).sum()
        share, expected = times / count, math.exp(-nats)
        # Six standard deviations: there are about a hundred paths.
        assert abs(share - expected) < 6 * math.sqrt(expected * (1 - expected) / count) + 1e-3


def test_the_first_place_is_uniform_but_for_the_sides() -> None:
    """After one step a side holds whoever would have passed it; inside, nothing has happened.

    A pixel inside is reached from as many starts as it has, 1 / 36 of the rows, of the columns.
    """
    inside = place_nats(np.array([[18, 18]]), free=36)[0]
    assert inside == pytest.approx(2 * math.log(36), abs=1e-3)
    assert place_nats(np.array([[36, 18]]), free=36)[0] < inside


def test_no_motion_goes_through_a_jump() -> None:
    nats = place_nats(np.array([[3, 3], [20, 3], [20, 3]]), free=36)
    assert np.isfinite(nats[0])
    assert np.isinf(nats[1:]).all()


def test_more_frames_leave_less_open() -> None:
    nats = np.mean([place_nats(places_of(seed, 20), free=36) for seed in range(20)], axis=0)
    assert nats[0] > nats[1] > nats[3:6].mean() > nats[10:15].mean() > nats[15:].mean() > 0


def test_the_grid_of_directions_is_fine_enough() -> None:
    coarse, fine = (
        np.mean(
            [
                place_nats(places_of(seed, 20), free=36, directions=directions)[10:].mean()
                for seed in range(10)
            ]
        )
        for directions in (1 << 16, 1 << 17)
    )
    assert coarse == pytest.approx(fine, rel=0.02)


def test_gray_pixels_cost_their_entropy_and_black_and_white_nothing() -> None:
    gray = torch.tensor([0.0, 1.0, 0.5, 0.25]).view(1, 1, 1, 4)
    quarter = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert gray_nats(gray).item() == pytest.approx(math.log(2) + quarter, rel=1e-6)
    assert gray_nats(gray.round()).item() == 0
    # What a predictor pays that gives each pixel its own gray.
    cost = torch.nn.functional.binary_cross_entropy(gray, gray, reduction="sum")
    assert gray_nats(gray).item() == pytest.approx(cost.item(), rel=1e-5)


def test_the_floor_is_the_mean_over_sequences_and_frames() -> None:
    digits = np.zeros((2, 28, 28), np.uint8)
    digits[:, 10:18, 10:18] = 51  # a fifth
    floor = entropy_floor(DigitSequences(digits, (0,), num_digits=1), count=3, known=4, horizon=2)
    fifth = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8))
    assert floor.bernoulli == pytest.approx(64 * fifth, rel=1e-5)
    expected = [
        place_nats(digit_places(2, (0, n, 0), num_frames=6)[1], free=36)[4:].mean()
        for n in range(3)
    ]
    assert floor.values == pytest.approx(np.mean(expected))
    assert (floor.sequences, floor.frames) == (3, 2)


def test_what_it_does_not_compute_is_refused() -> None:
    digits = np.zeros((2, 28, 28), np.uint8)
    with pytest.raises(SettingError, match="bounce is 'random'"):
        entropy_floor(DigitSequences(digits, (0,), bounce="random"))
    with pytest.raises(ValueError, match="known 0"):
        entropy_floor(DigitSequences(digits, (0,)), known=0)
