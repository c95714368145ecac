"""Facts of metrics, against what the metrics themselves say."""

import pytest
import torch

from vidpred.metrics import FVD, LPIPS, METRICS, PSNR, SSIM, Sharpness, metric_info
from vidpred.metrics.registry import CONVENTIONS, convention_name, function_of, number


@pytest.mark.parametrize(
    ("name", "metric"),
    [("psnr", PSNR), ("ssim", SSIM), ("sharpness", Sharpness), ("lpips", LPIPS), ("fvd", FVD)],
)
def test_the_direction_is_that_of_the_metric(name: str, metric: type) -> None:
    assert METRICS[name].higher_is_better is metric.higher_is_better  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name, info in METRICS.items() if info.function])
def test_the_function_takes_each_variant(name: str) -> None:
    frames = torch.rand(1, 1, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(1, 1, 1, 192, 192, dtype=torch.bool)
    for variant in METRICS[name].variants or (None,):
        options = {} if variant is None else {"variant": variant}
        if variant == "masked_mean":
            options["mask"] = mask
        value = function_of(name)(frames, frames * 0.9, data_range=1.0, **options)
        assert value.shape == (1, 1)


def test_each_variant_has_words() -> None:
    variants = {variant for info in METRICS.values() for variant in info.variants}
    assert variants == set(CONVENTIONS)
    assert convention_name("of_later_versions") == "of later versions"


def test_numbers_have_the_digits_of_their_metric() -> None:
    assert (number(31.4159, "psnr"), number(0.98765, "ssim")) == ("31.42", "0.988")
    assert (number(None, "psnr"), number(None, "fvd", missing="none")) == ("-", "none")


def test_what_is_unknown_has_its_name_and_no_function() -> None:
    info = metric_info("nimp")
    assert (info.label, info.unit, info.higher_is_better, info.digits) == ("nimp", "", True, 3)
    for name in ("nimp", "lpips"):
        with pytest.raises(ValueError, match="has no function of two clips; expected one of psnr"):
            function_of(name)
