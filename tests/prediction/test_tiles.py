import pytest
import torch

from vidpred.errors import PredictionError
from vidpred.models import GeneratorScale, MultiScaleGenerator
from vidpred.prediction.tiles import spans, tile_grid, tiled_step


def small(upsampling: str = "nearest") -> MultiScaleGenerator:
    torch.manual_seed(0)
    return MultiScaleGenerator.from_preset("small", upsampling=upsampling).double().eval()


def tiny(upsampling: str) -> MultiScaleGenerator:
    torch.manual_seed(0)
    scales = [
        GeneratorScale((4,), (3, 3)),
        GeneratorScale((4,), (3, 5)),
        GeneratorScale((4,), (5, 3)),
    ]
    return MultiScaleGenerator(scales, context_frames=2, upsampling=upsampling).double().eval()


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(8, 504), (100, 140)])
def test_tiles_give_the_whole_frame(upsampling: str, size: tuple[int, int]) -> None:
    network = small(upsampling) if size[0] == 8 else tiny(upsampling)
    frames = list(torch.rand(2, network.context_frames, 3, *size, dtype=torch.float64).unbind(1))
    with torch.inference_mode():
        whole = network.step(torch.stack(frames, dim=1))
        multiple = network.size_multiple
        margin = -(-network.receptive_radius // multiple) * multiple
        rows = spans(size[0], 3, multiple=multiple, margin=margin)
        columns = spans(size[1], 3, multiple=multiple, margin=margin)
        assert len(rows) * len(columns) in (3, 9)
        assert min(span.end - span.begin for span in columns) < size[1]
        tiled = tiled_step(network, frames, rows, columns)
    # Double precision: what is left is the order of sums.
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    "scales",
    [
        (GeneratorScale((2,), (3, 3)), GeneratorScale((2,), (5, 3))),
        (GeneratorScale((2,), (3, 5)), GeneratorScale((2,), (1, 3)), GeneratorScale((), (1,))),
        (GeneratorScale((3,), (7, 3)),),
    ],
)
def test_the_radius_holds_all_that_a_pixel_depends_on(
    scales: tuple[GeneratorScale, ...], upsampling: str
) -> None:
    torch.manual_seed(0)
    network = MultiScaleGenerator(scales, context_frames=1, upsampling=upsampling).double()
    radius = network.receptive_radius
    context = torch.rand(1, 1, 3, 96, 96, dtype=torch.float64, requires_grad=True)
    reached = 0
    for place in range(44, 52):  # all places on the coarsest grid
        pixel = network.step(context)[..., place, place].sum()
        (gradient,) = torch.autograd.grad(pixel, context)
        seen = gradient.abs().sum(dim=(0, 1, 2)).nonzero()
        reached = max(reached, int((seen - place).abs().max()))
    assert reached <= radius
    # Nor is it more than rounding to the coarsest grid explains: margins cost time.
    assert radius - reached <= 2 ** len(scales)


def test_published_networks_see_95_pixels() -> None:
    assert MultiScaleGenerator.from_preset("paper").receptive_radius == 95
    assert small().receptive_radius == 95


def test_a_margin_that_is_too_narrow_shows() -> None:
    network = small()
    frames = list(torch.rand(4, 1, 3, 16, 400, dtype=torch.float64))
    with torch.inference_mode():
        whole = network.step(torch.stack(frames, dim=1))
        columns = spans(400, 2, multiple=8, margin=16)
        tiled = tiled_step(network, frames, spans(16, 1, multiple=8, margin=0), columns)
    assert (tiled - whole).abs().max() > 1e-9


def test_parts_cover_an_axis_once() -> None:
    for length in (8, 40, 1080, 3840):
        for parts in (1, 2, 3, 7):
            found = spans(length, parts, multiple=8, margin=96)
            kept = [k for span in found for k in range(span.inner_begin, span.inner_end)]
            assert kept == list(range(length))
            assert all(span.begin % 8 == 0 for span in found)
            assert len(found) <= parts


def test_what_cannot_be_tiled_is_told() -> None:
    with pytest.raises(PredictionError, match=r"receptive_radius.*raise --max-memory"):
        tile_grid(1080, 1920, multiple=1, radius=None, pixels=10_000)
    with pytest.raises(
        PredictionError, match=r"96 pixels around them.*tiles of 10000 pixels; raise it"
    ):
        tile_grid(1080, 1920, multiple=8, radius=95, pixels=10_000)


def test_4k_is_cut_into_few_tiles() -> None:
    rows, columns = tile_grid(2160, 3840, multiple=8, radius=95, pixels=2_500_000)
    seen = sum((r.end - r.begin) * (c.end - c.begin) for r in rows for c in columns)
    assert seen < 1.25 * 2160 * 3840
