"""The numbers that describe a clip, and the motions that are carried, on fields of known values."""

import pytest
import torch

from vidpred.models.flow_evidence import (
    FURTHER,
    HYPOTHESES,
    SMOOTHED,
    carry,
    evidence_of,
    num_cues,
    num_statistics,
)

SIZE = (32, 48)


def shifted(values: list[float], flows: list[tuple[float, float]]) -> tuple[torch.Tensor, ...]:
    """Even gray frames of these values, and even flows between neighbors."""
    frames = torch.tensor(values).view(1, -1, 1, 1, 1).expand(-1, -1, 3, *SIZE)
    return frames, torch.tensor(flows).view(1, -1, 2, 1, 1).expand(-1, -1, -1, *SIZE)


def test_statistics_of_even_frames() -> None:
    frames, flows = shifted([0.1, 0.2, 0.4, 0.8], [(0, 0), (0, 16.0), (32.0, 0)])
    evidence = evidence_of(frames, flows)
    numbers = evidence.statistics[0]
    assert len(numbers) == num_statistics(4)

    def on_scale(value: float) -> torch.Tensor:
        return (torch.tensor(value) + 1e-3).log() / 2 + 2

    for pair, (change, speed) in enumerate(((0.1, 0.0), (0.2, 1.0), (0.4, 2.0))):
        expected = [change, change, speed, speed, change, change, change]
        found = numbers[8 * pair : 8 * pair + 7]
        torch.testing.assert_close(found, torch.stack([on_scale(v) for v in expected]))
    assert numbers[[7, 15, 23]].tolist() == [0, 0, 0]  # no pixel is the same as before
    # How far a frame is from the mean of its neighbors.
    torch.testing.assert_close(numbers[24:26], torch.stack([on_scale(0.05), on_scale(0.1)]))
    assert evidence.cues.shape == (1, num_cues(4, 3), SIZE[0] // 2, SIZE[1] // 2)


def test_motions_that_are_carried() -> None:
    frames, flows = shifted([0.5] * 4, [(1.0, 0.0), (2.0, 0.0), (4.0, -2.0)])
    evidence = evidence_of(frames, flows)
    expected = [(4.0, -2.0), (3.0, -1.0), (2.0, 0.0), (7 / 3, -2 / 3)]
    middle = evidence.velocities[:, 0, :, 16, 24]
    torch.testing.assert_close(middle, torch.tensor(expected))
    further = [(6.0, -3.0), (-2.0, 1.0), (5.0, -3.0), (7.0, -5.0)]
    assert len(FURTHER) == len(further)
    for k, paths in enumerate(carry(evidence, 2), start=1):
        assert paths.shape == (HYPOTHESES, 1, 2, *SIZE)
        found = paths[:, 0, :, 16, 24]
        torch.testing.assert_close(found, k * torch.tensor([*expected, *further]))


def test_a_few_motions_at_a_time_are_carried_as_all_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    evidence = evidence_of(torch.rand(2, 4, 3, *SIZE), 3 * torch.randn(2, 3, 2, *SIZE))
    together = [paths.clone() for paths in carry(evidence, 3)]
    monkeypatch.setattr("vidpred.models.flow_evidence.CARRIED_AT_ONCE", 1)
    for one, other in zip(together, carry(evidence, 3), strict=True):
        assert torch.equal(one, other)


def test_the_mean_of_the_last_motions_is_smoothed_over_squares() -> None:
    flows = torch.zeros(1, 3, 2, *SIZE)
    flows[:, 2, :, :SMOOTHED, :SMOOTHED] = 3.0  # of the last pair alone
    smoothed = evidence_of(torch.zeros(1, 4, 3, *SIZE), flows).velocities[3]
    assert smoothed.max() <= 1.0
    assert smoothed[0, 0, 0, 0] == 1.0
    assert 0 < smoothed[0, 0, SMOOTHED, 0] < 0.6
    assert smoothed[0, 0, 2 * SMOOTHED :].abs().max() == 0
