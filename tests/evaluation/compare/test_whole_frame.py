"""A method that is ahead where things move and ruins the whole frame is named."""

from test_comparison import PSNR, WHOLE, compared, result

from vidpred.evaluation.compare.markdown import markdown
from vidpred.evaluation.compare.whole_frame import ruined, whole_frame_measure
from vidpred.evaluation.compare.wording import ruins, verdict
from vidpred.evaluation.report.page import render

CLIPS = [f"v{k}" for k in range(25)]


def level(mean: float) -> dict[str, list[float | None]]:
    return {clip: [mean + k % 3, mean + k % 5] for k, clip in enumerate(CLIPS)}


def three(whole_of_model: float) -> list:
    return [
        result("copy_last", level(20), kind="baseline", whole=level(30)),
        result("flow", level(22), kind="baseline", whole=level(31)),
        result("model", level(23), whole=level(whole_of_model)),
    ]


def test_who_is_ahead_in_the_moving_area_and_behind_in_the_frame_is_named() -> None:
    comparison = compared(*three(28))
    assert ruined(comparison["measures"], PSNR, "copy_last") == ["model"]
    (said,) = ruins(comparison)
    assert said.startswith("model ruins the whole frame: in the moving area it is ahead of copying")
    assert "(PSNR +3.00 dB [+3.00, +3.00])" in said
    assert "(PSNR \N{MINUS SIGN}2.00 dB [\N{MINUS SIGN}2.00, \N{MINUS SIGN}2.00])" in said
    assert "- model ruins the whole frame" in markdown(comparison)
    assert "model ruins the whole frame" in render(comparison)


def test_the_second_line_ranks_whole_frames() -> None:
    line = verdict(compared(*three(28)))[-1]
    assert line == (
        "In the whole frame, PSNR, best first: flow 32.48, copy_last 31.48, model 29.48 dB."
    )
    comparison = compared(*three(28), measure=WHOLE)
    assert not any("best first" in sentence for sentence in verdict(comparison))
    assert ruins(comparison) == []


def test_who_is_not_behind_by_more_than_chance_is_not_named() -> None:
    assert ruins(compared(*three(30))) == []
    assert ruins(compared(*three(32))) == []
    worse_everywhere = [
        result("copy_last", level(20), kind="baseline", whole=level(30)),
        result("model", level(19), whole=level(28)),
    ]
    assert ruins(compared(*worse_everywhere)) == []
    assert ruins(compared(result("model", level(19), whole=level(28)))) == []


def test_a_significant_loss_of_less_than_a_decibel_has_a_milder_word() -> None:
    comparison = compared(*three(29.5))
    assert ruined(comparison["measures"], PSNR, "copy_last") == []
    (said,) = ruins(comparison)
    assert said.startswith("model harms what does not move: in the moving area it is ahead of")
    assert "ruin" not in markdown(comparison) + render(comparison)
    assert ruined(compared(*three(28.75))["measures"], PSNR, "copy_last") == ["model"]


def test_one_clip_has_no_interval_and_warns_of_nothing() -> None:
    """A loss on one clip is no evidence, whatever its size."""
    one = {"v0": [20.0, 20.0]}
    methods = [
        result("copy_last", one, kind="baseline", whole={"v0": [30.0, 30.0]}),
        result("model", {"v0": [23.0, 23.0]}, whole={"v0": [20.0, 20.0]}),
    ]
    comparison = compared(*methods)
    assert comparison["measures"][WHOLE]["scores"]["model"]["gain"] == -10
    assert ruins(comparison) == []
    assert "ruin" not in markdown(comparison) + render(comparison)


def test_the_measure_of_the_whole_frame_has_the_same_convention_if_there_is_one() -> None:
    coded, masked = "psnr.mathieu_code.moving", "psnr.masked_mean.moving"
    keys = [coded, masked, "psnr.standard.whole", "psnr.mathieu_code.whole"]
    assert whole_frame_measure(keys, coded) == "psnr.mathieu_code.whole"
    assert whole_frame_measure(keys, masked) == "psnr.standard.whole"
    assert whole_frame_measure(keys, "ssim.masked_mean.moving") is None
    assert whole_frame_measure(keys, "psnr.standard.whole") is None
