"""What would have predicted the known frames, on clips whose motion is known."""

import math

import torch

from vidpred.models.flow_hindsight import RULES, hindsight, num_hindsight

SIZE = (24, 40)
OF_RULES = 2 * (2 * RULES - 1)
JUDGED = OF_RULES + 6
FIRST = 3 * 3
"""Where the numbers of the first judged frame begin, of four frames: after those of the pairs."""


def texture(positions: list[float]) -> list[torch.Tensor]:
    """A smooth texture, moved to the right by so many pixels."""
    rows, columns = torch.arange(SIZE[0]).view(-1, 1), torch.arange(SIZE[1])
    frames = [0.5 + 0.2 * torch.sin((columns - x) / 2.5) * torch.cos(rows / 3) for x in positions]
    return [frame.expand(1, 3, -1, -1) for frame in frames]


def even(dx: float) -> torch.Tensor:
    return torch.tensor([dx, 0.0]).view(1, 2, 1, 1).expand(1, 2, *SIZE)


def ratios(numbers: torch.Tensor, judged: int) -> torch.Tensor:
    """Errors of the rules after the first in comparison with it, over the whole frame."""
    begin = FIRST + judged * JUDGED + RULES
    return numbers[begin : begin + RULES - 1]


def test_the_rule_that_holds_has_the_least_error() -> None:
    for speed, best in ((1.0, 1), (0.5, 0), (1.5, 2), (-0.5, 3)):
        # Moves by 2 pixels, then by `speed` times that.
        frames = texture([0.0, 2.0, 4.0, 4.0 + 2 * speed])
        numbers = hindsight(frames, [even(-2.0), even(-2.0), even(-2.0 * speed)])[0]
        assert len(numbers) == num_hindsight(4)
        assert numbers.isfinite().all()
        first, last = ratios(numbers, 0), ratios(numbers, 1)
        assert int(first[:4].argmin()) == 1
        assert int(last[:4].argmin()) == best
        assert last[best] < -1.0


def test_levels_are_logarithms_of_mean_squares() -> None:
    frames = texture([0.0, 2.0, 4.0, 6.0])
    numbers = hindsight(frames, [even(-2.0)] * 3)[0]
    error = float((frames[3] - frames[2]).square().mean())
    still = float(numbers[FIRST + JUDGED])
    assert math.isclose(still, math.log(error + 1e-6) / 4 + 2, abs_tol=1e-4)
    two = FIRST + 2 * JUDGED
    error = float((frames[3] - frames[1]).square().mean())
    assert math.isclose(float(numbers[two]), math.log(error + 1e-6) / 4 + 2, abs_tol=1e-4)
    assert numbers[two + 3] < -1.0  # moved on by two frames is right
    assert numbers[two + 3] < numbers[two + 4] < 0  # half as far is half right


def test_steadiness_of_motion() -> None:
    frames = texture([0.0, 1.0, 3.0, 1.0])
    numbers = hindsight(frames, [even(-1.0), even(-2.0), even(2.0)])[0]
    cosine, faster, difference = numbers[FIRST + OF_RULES : FIRST + OF_RULES + 3]
    assert math.isclose(cosine, 1.0, abs_tol=1e-2)
    assert math.isclose(faster, math.log(2), abs_tol=1e-2)
    # Pixels of the frame, twice those of its half.
    assert math.isclose(difference, math.log(2 / 16 + 1e-3) / 2 + 2, abs_tol=1e-3)
    cosine, faster, _ = numbers[FIRST + JUDGED + OF_RULES : FIRST + JUDGED + OF_RULES + 3]
    assert math.isclose(cosine, -1.0, abs_tol=1e-2)
    assert math.isclose(faster, 0.0, abs_tol=1e-2)


def test_of_a_pair_what_moves_and_what_changes() -> None:
    frames = [torch.zeros(1, 3, *SIZE) for _ in range(4)]
    frames[3][..., :6, :] = 0.5  # a quarter of the frame
    numbers = hindsight(frames, [even(0.0), even(0.0), even(-4.0)])[0]
    matched, whole, changed = numbers[6:9]
    assert math.isclose(matched, math.log(0.5 + 1e-3) / 2 + 2, abs_tol=1e-4)
    assert math.isclose(whole, math.log(8 / 16 + 1e-3) / 2 + 2, abs_tol=1e-4)
    assert math.isclose(changed, math.log(0.25 + 1e-3) / 4 + 1, abs_tol=1e-4)


def test_clips_do_not_see_each_other_and_any_number_of_frames_is_described() -> None:
    torch.manual_seed(0)
    for known in (3, 4, 6):
        frames = list(torch.rand(known, 2, 3, *SIZE).unbind(0))
        flows = list(torch.randn(known - 1, 2, 2, *SIZE).unbind(0))
        together = hindsight(frames, flows)
        assert together.shape == (2, num_hindsight(known))
        for n in range(2):
            alone = hindsight([f[n : n + 1] for f in frames], [f[n : n + 1] for f in flows])
            torch.testing.assert_close(together[n : n + 1], alone, atol=1e-5, rtol=1e-5)


def test_a_frame_of_one_pixel_is_described() -> None:
    numbers = hindsight([torch.rand(1, 3, 1, 1) for _ in range(4)], [torch.zeros(1, 2, 1, 1)] * 3)
    assert numbers.isfinite().all()
