"""Minutes of a training are kept over resumptions, and validations are no part of them."""

from types import SimpleNamespace
from typing import Any

import pytest

from vidpred.callbacks import TrainingClock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that is set by hand."""
    clock = SimpleNamespace(time=100.0)
    monkeypatch.setattr("vidpred.runs.clock.time.monotonic", lambda: clock.time)
    return clock


def trainer() -> Any:
    return SimpleNamespace(
        should_stop=False,
        sanity_checking=False,
        state=SimpleNamespace(fn="fit"),
        strategy=SimpleNamespace(broadcast=lambda value: value),
    )


def test_validations_are_left_out_and_a_resumed_run_has_what_is_left(now: SimpleNamespace) -> None:
    run, task = trainer(), SimpleNamespace()
    clock = TrainingClock(minutes=1)
    clock.on_train_start(run, task)  # type: ignore[arg-type]  # nothing of a task is asked for
    now.time += 20
    clock.on_validation_start(run, task)  # type: ignore[arg-type]
    now.time += 500
    clock.on_validation_end(run, task)  # type: ignore[arg-type]
    now.time += 5
    clock.on_train_batch_end(run, task)  # type: ignore[arg-type]
    assert (clock.seconds, run.should_stop) == (25, False)

    resumed = TrainingClock(minutes=1)
    resumed.load_state_dict(clock.state_dict())
    now.time += 1000
    resumed.on_fit_start(run, task)  # type: ignore[arg-type]
    resumed.on_train_start(run, task)  # type: ignore[arg-type]
    now.time += 34
    resumed.on_train_batch_end(run, task)  # type: ignore[arg-type]
    assert not run.should_stop
    now.time += 1
    resumed.on_train_batch_end(run, task)  # type: ignore[arg-type]
    assert run.should_stop
    resumed.on_train_end(run, task)  # type: ignore[arg-type]
    now.time += 7
    assert resumed.seconds == 60

    used_up, again = TrainingClock(minutes=1), trainer()
    used_up.load_state_dict(resumed.state_dict())
    used_up.on_fit_start(again, task)  # type: ignore[arg-type]
    assert again.should_stop


def test_without_minutes_it_only_counts(now: SimpleNamespace) -> None:
    run, clock = trainer(), TrainingClock()
    clock.on_train_start(run, SimpleNamespace())  # type: ignore[arg-type]
    now.time += 1e6
    clock.on_train_batch_end(run, SimpleNamespace())  # type: ignore[arg-type]
    assert (clock.seconds, run.should_stop) == (1e6, False)


def test_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="expected more than 0"):
        TrainingClock(minutes=0)
