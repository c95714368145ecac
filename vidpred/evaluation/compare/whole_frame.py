"""Methods that are ahead where things move, and lose to copying in the whole frame."""

from collections.abc import Mapping, Sequence

from vidpred.evaluation.compare.common_clips import describe_measure
from vidpred.evaluation.compare.measure_table import MeasureTable

RUIN_DB = 1.0
"""A surer loss than this ruins the frame: over a quarter more squared error than a copy has."""


def whole_frame_measure(keys: Sequence[str], key: str) -> str | None:
    """Give the measure of the whole frame that belongs to one of the moving area.

    Args:
        keys: Of all measures.
        key: Of the moving area.

    Returns:
        The same metric by the same convention, else by the standard one; None when there is
        neither, or the measure is of whole frames itself.

    Example:
        >>> keys = ["psnr.masked_mean.moving", "ssim.standard.whole", "psnr.standard.whole"]
        >>> whole_frame_measure(keys, keys[0])
        'psnr.standard.whole'
    """
    about = describe_measure(key)
    if about["area"] != "moving":
        return None
    wanted = (f"{about['metric']}.{variant}.whole" for variant in (about["variant"], "standard"))
    return next((name for name in wanted if name in keys), None)


def behind_in_whole_frame(
    tables: Mapping[str, MeasureTable], key: str, baseline: str | None
) -> list[str]:
    """Name the methods that beat copying in the moving area and lose to it in the whole frame.

    Args:
        tables: By measure.
        key: Of the moving area; others give no names.
        baseline: The method that copies the last frame; None gives no names.

    Returns:
        Names, in the order of the ranking: ahead of copying by `key` and behind it in the whole
        frame, each by a 95 % interval that does not contain 0. Without one, as with one video,
        none.
    """
    whole = whole_frame_measure(list(tables), key)
    if whole is None or baseline is None:
        return []
    found: list[str] = []
    for name in tables[key]["ranking"]:
        moving, frame = (tables[k]["scores"][name] for k in (key, whole))
        gain, loss = moving["gain_interval"], frame["gain_interval"]
        if gain is not None and gain[0] > 0 and loss is not None and loss[1] < 0:
            found.append(name)
    return found


def ruined(tables: Mapping[str, MeasureTable], key: str, baseline: str | None) -> list[str]:
    """Name those of `behind_in_whole_frame` that lose at least `RUIN_DB` decibels of PSNR there.

    Args:
        tables: As there.
        key: As there.
        baseline: As there.

    Returns:
        Names, in the order of the ranking; the whole interval of the loss is that large.
    """
    whole = whole_frame_measure(list(tables), key)
    if whole is None or describe_measure(whole)["metric"] != "psnr":
        return []
    found: list[str] = []
    for name in behind_in_whole_frame(tables, key, baseline):
        bounds = tables[whole]["scores"][name]["gain_interval"]
        if bounds is not None and bounds[1] <= -RUIN_DB:
            found.append(name)
    return found
