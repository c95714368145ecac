"""What a predictor is conditioned on, out of a batch of clips."""

from vidpred.batch import TRUE_FRAMES, ClipBatch
from vidpred.errors import SettingError
from vidpred.models.predictor import Condition, Predictor
from vidpred.ops import to_unit


def condition_of(predictor: Predictor, batch: ClipBatch) -> Condition | None:
    """Give what a predictor is conditioned on; None for one that needs nothing.

    Raises:
        SettingError: When the clips lack it.
    """
    if not predictor.conditions:
        return None
    given = dict(batch.get("condition", {}))
    if TRUE_FRAMES in predictor.conditions:
        given[TRUE_FRAMES] = to_unit(batch["frames"])
    missing = [name for name in predictor.conditions if name not in given]
    if missing:
        raise SettingError(
            f"{type(predictor).__name__} is conditioned on {', '.join(missing)}, and the clips "
            f"come with {', '.join(given) or 'frames alone'}; expected data that have it"
        )
    return {name: given[name] for name in predictor.conditions}


def given(condition: Condition | None) -> dict[str, Condition]:
    """Name the argument only where there is one: networks of 0.1 do not know it."""
    return {} if condition is None else {"condition": condition}
