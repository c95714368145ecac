"""What the conditions of a predictor have to be, and which rows of them a step sees."""

from collections.abc import Mapping, Sequence

from torch import Tensor


def distinct_names(conditions: Sequence[str]) -> tuple[str, ...]:
    """Give the names of conditions that a predictor declares; a string is one name.

    Raises:
        ValueError: When a name comes twice.
    """
    names = (conditions,) if isinstance(conditions, str) else tuple(map(str, conditions))
    if len(set(names)) < len(names):
        raise ValueError(f"conditions are {list(names)}; expected each name once")
    return names


def required_conditions(
    names: Sequence[str],
    condition: Mapping[str, Tensor] | None,
    context: Tensor,
    horizon: int,
    *,
    needed_by: str,
) -> dict[str, Tensor]:
    """Choose the conditions that a predictor needs.

    Args:
        names: Of those that it needs.
        condition: What was given, by name.
        context: Known frames, shape (B, T, C, H, W).
        horizon: Frames to predict.
        needed_by: Name of the predictor, for errors.

    Returns:
        By name, tensors (B, T + horizon, ...).

    Raises:
        ValueError: When one is missing, or has another batch or length.
    """
    given = condition or {}
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(
            f"{needed_by} needs the condition {', '.join(missing)}; given: "
            f"{', '.join(given) or 'none'}. Expected condition={{name: tensor}} with an entry "
            "for every frame, those of the context first, then those to predict"
        )
    batch, known = context.shape[:2]
    for name in names:
        if tuple(given[name].shape[:2]) != (batch, known + horizon):
            raise ValueError(
                f"condition {name} has shape {tuple(given[name].shape)}; expected "
                f"({batch}, {known + horizon}, ...): {known} frames of context and {horizon} "
                "to predict"
            )
    return {name: given[name] for name in names}


def condition_of_step(
    condition: Mapping[str, Tensor], first: int, frames: int
) -> dict[str, Tensor]:
    """Cut the rows of one step; beyond the horizon the last row is repeated.

    Args:
        condition: By name, tensors (B, T, ...).
        first: Index of the step's first frame.
        frames: Number of the step's frames, known and predicted.

    Returns:
        By name, tensors (B, frames, ...).
    """
    wanted = range(first, first + frames)
    return {
        name: rows[:, [min(k, rows.shape[1] - 1) for k in wanted]]
        for name, rows in condition.items()
    }
