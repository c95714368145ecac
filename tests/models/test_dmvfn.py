"""DMVFN: the authors' module, its routes, and that clips do not mix."""

import math
import re

import pytest
import torch
from authors import checkout, fill, give_weights, importable, parameters, pattern, probe
from models.published import require_gradients, require_same_built
from torch import Tensor

from vidpred.models import DMVFN, Refining

AUTHORS = "CVPR2023-DMVFN"
"""github.com/megvii-research/CVPR2023-DMVFN"""


@pytest.fixture
def tiny() -> DMVFN:
    return DMVFN((8, 8, 4), (2, 1, 1)).eval()


def route(network: DMVFN, *logits: float) -> None:
    """Give every clip the same route, by the sigmoids of these logits."""
    with torch.no_grad():
        network.router[-1].weight.zero_()
        network.router[-1].bias.copy_(torch.tensor(logits))


def test_parameters_are_those_of_the_release_to_the_unit() -> None:
    # Origin: the authors' module at 78c02e9, counted.
    assert parameters(DMVFN.from_preset("faithful")) == 3_559_930
    assert parameters(DMVFN.from_preset("cpu")) == 608_088


def renamed(name: str) -> str:
    """Turn a name of the authors' state into ours."""
    name = re.sub(r"^block(\d)\.", r"blocks.\1.", name)
    parts = {"conv0": "coarse", "convblock": "residual", "conv_sq": "narrow"}
    parts |= {"conv1": "fine", "lastconv": "head"}
    name = name.replace(".convblock1.0.", ".fine.1.")
    for theirs, ours in parts.items():
        name = name.replace(f".{theirs}.", f".{ours}.")
    return name.replace("routing.", "router.").replace("l1.", "router.5.")


CHOSEN = torch.tensor([[1, 0, 1, 1, 0, 1, 1, 0, 0]]).bool()
"""A route through the nine blocks, without the last."""

OF_THE_AUTHORS = [0.77038, 0.60733, 0.28300, 0.38876, 0.57260]
"""What the authors' module, commit 78c02e9, gives along this route by `probe`."""

AFTER_EACH_BLOCK = [0.28285, 0.32528, 0.31728, 0.30321, 0.24623, 0.26242, 0.28300, 0.27604, 0.28300]
"""What it gives in training: the middle one of these values."""


def with_weights_by_a_rule() -> tuple[DMVFN, Tensor]:
    """Our network, whose motions are some pixels long, and what it predicts from."""
    ours = DMVFN.from_preset("faithful").eval()
    fill(ours)
    with torch.no_grad():
        for block in ours.blocks:
            block.head.weight.mul_(0.3)
    return ours, pattern(2, 2, 3, 32, 48)


def test_it_gives_what_the_module_of_the_authors_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, context = with_weights_by_a_rule()
    monkeypatch.setattr(torch, "bernoulli", lambda _: CHOSEN.float().expand(2, -1))
    with torch.no_grad():
        assert probe(ours.along(context, CHOSEN.expand(2, -1))) == pytest.approx(
            OF_THE_AUTHORS, abs=1e-4
        )
        found = [probe(pred)[2] for pred in ours.stages(context)]
    assert found == pytest.approx(AFTER_EACH_BLOCK, abs=1e-4)


def test_outputs_are_those_of_the_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout(AUTHORS)
    with importable(folder) as load:
        arch = load("model.arch")
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor)  # no GPU is asked for
    # Their grids are for the default device; a CPU serves both.
    monkeypatch.setattr(arch, "device", torch.device("cpu"))
    theirs, (ours, context) = arch.DMVFN().eval(), with_weights_by_a_rule()
    give_weights(theirs, ours, renamed)
    scales, stacked = list(ours.scales), context.flatten(1, 2)
    chosen = CHOSEN.expand(2, -1)
    monkeypatch.setattr(arch.RoundSTE, "apply", lambda _: chosen.float())
    monkeypatch.setattr(torch, "bernoulli", lambda _: chosen.float())
    with torch.no_grad():
        evaluated = theirs(stacked, scales, training=False)[-1]
        trained = theirs(stacked, scales, training=True)
        assert (evaluated - context.mean(1)).abs().mean() > 0.01  # it does something
        assert probe(evaluated) == pytest.approx(OF_THE_AUTHORS, abs=1e-4)
        assert [probe(pred)[2] for pred in trained] == pytest.approx(AFTER_EACH_BLOCK, abs=1e-4)
        torch.testing.assert_close(ours.along(context, chosen)[:, 0], evaluated, atol=1e-5, rtol=0)
        for mine, other in zip(ours.stages(context), trained, strict=True):
            torch.testing.assert_close(mine[:, 0], other, atol=1e-5, rtol=0)


def test_probabilities_are_the_routers_shares_of_half_the_blocks(tiny: DMVFN) -> None:
    logits = torch.tensor([1.0, -1.0, 0.5])
    route(tiny, *logits.tolist())
    expected = logits.sigmoid() / logits.sigmoid().sum() * 1.5
    found = tiny.probabilities(torch.rand(2, 2, 3, 8, 8))
    torch.testing.assert_close(found, expected.expand(2, 3), atol=1e-5, rtol=0)


def test_the_most_probable_blocks_run_as_many_as_training_draws(tiny: DMVFN) -> None:
    context = torch.rand(1, 2, 3, 16, 16)
    with torch.no_grad():
        route(tiny, 5.0, -5.0, 5.0)  # 0.75, 0, 0.75
        chosen = torch.tensor([[True, False, True]])
        assert torch.equal(tiny.step(context), tiny.along(context, chosen))
        # Equal shares are just below one half, and three blocks are one and a half on average.
        first_two = torch.tensor([[True, True, False]])
        for logit in (0.0, 20.0):
            route(tiny, logit, logit, logit)
            assert torch.equal(tiny.step(context), tiny.along(context, first_two))
        # Where one is certain and no other likely, it runs alone, where the release may run none.
        route(tiny, -20.0, 5.0, -20.0)
        alone = torch.tensor([[False, True, False]])
        assert torch.equal(tiny.step(context), tiny.along(context, alone))


def test_without_heads_it_is_the_mean_of_the_two_frames(tiny: DMVFN) -> None:
    for block in tiny.blocks:
        torch.nn.init.zeros_(block.head.weight)
        torch.nn.init.zeros_(block.head.bias)
    context = torch.rand(2, 2, 3, 16, 16)
    torch.testing.assert_close(tiny(context, 1)[:, 0], context.mean(1), atol=1e-5, rtol=0)


def test_each_frame_has_a_motion_of_its_own_in_pixels(tiny: DMVFN) -> None:
    for block in tiny.blocks:
        torch.nn.init.zeros_(block.head.weight)
        torch.nn.init.zeros_(block.head.bias)
    route(tiny, 9.0, -9.0, -9.0)
    with torch.no_grad():
        tiny.blocks[0].head.bias.copy_(torch.tensor([4.0, -2.0, 1.0, 0.0, 0.0]))
    older, newer = torch.rand(2, 1, 3, 16, 24)
    expected = (older.roll((-4, 2), (-1, -2)) + newer.roll(-1, -1)) / 2
    pred = tiny(torch.stack([older, newer], dim=1), 1)[:, 0]
    inside = (..., slice(3, -3), slice(5, -5))
    torch.testing.assert_close(pred[inside], expected[inside], atol=1e-4, rtol=0)


def test_a_mask_above_0_shows_the_older_frame(tiny: DMVFN) -> None:
    for block in tiny.blocks:
        torch.nn.init.zeros_(block.head.weight)
        torch.nn.init.zeros_(block.head.bias)
    with torch.no_grad():
        tiny.blocks[0].head.bias[4] = math.log(3)
    route(tiny, 9.0, -9.0, -9.0)
    older, newer = torch.rand(2, 1, 3, 16, 16)
    pred = tiny(torch.stack([older, newer], dim=1), 1)[:, 0]
    torch.testing.assert_close(pred, 0.75 * older + 0.25 * newer, atol=1e-5, rtol=0)


def test_three_clips_are_as_three_batches_of_one(tiny: DMVFN) -> None:
    with torch.no_grad():  # routes that differ from clip to clip
        tiny.router[-1].weight.mul_(500)
        tiny.router[-1].bias.zero_()
    context = (
        torch.rand(3, 2, 3, 16, 16) * torch.tensor([0.05, 0.5, 1.0])[:, None, None, None, None]
    )
    with torch.no_grad():
        routes = tiny.probabilities(context) >= 0.5
        assert len(routes.unique(dim=0)) > 1
        alone = torch.cat([tiny(clip[None], 2) for clip in context])
        torch.testing.assert_close(tiny(context, 2), alone, atol=1e-6, rtol=0)


def test_predictions_are_not_drawn_and_stages_are(tiny: DMVFN) -> None:
    route(tiny, 0.0, 0.0, 0.0)
    context = torch.rand(1, 2, 3, 16, 16)
    before = torch.get_rng_state()
    with torch.no_grad():
        first, second = tiny(context, 2), tiny(context, 2)
        assert torch.equal(first, second)
        assert torch.equal(before, torch.get_rng_state())
        drawn = [tiny.stages(context)[-1] for _ in range(12)]
    assert any(not torch.equal(drawn[0], other) for other in drawn)


def test_with_and_without_gradient_it_predicts_the_same(tiny: DMVFN) -> None:
    context = torch.rand(2, 2, 3, 16, 16)
    with torch.no_grad():
        expected = tiny(context, 2)
    torch.testing.assert_close(tiny(context, 2).detach(), expected, atol=1e-6, rtol=0)


def test_a_gradient_reaches_every_parameter(tiny: DMVFN) -> None:
    assert isinstance(tiny, Refining)
    route(tiny, 0.5, 0.2, 0.4)
    torch.nn.init.normal_(tiny.router[-1].weight)
    preds = tiny.stages(torch.rand(2, 2, 3, 16, 16))
    assert len(preds) == 3
    require_gradients(tiny, torch.stack(preds))


@pytest.mark.parametrize("size", [(8, 8), (13, 21)])
def test_any_size(tiny: DMVFN, size: tuple[int, int]) -> None:
    context = torch.rand(2, 3, 3, *size)
    pred = tiny(context, 3)
    assert pred.shape == (2, 3, 3, *size)
    assert pred.min() >= 0
    assert pred.max() <= 1
    assert [stage.shape for stage in tiny.stages(context[:, -2:])] == 3 * [(2, 1, 3, *size)]


def test_config_builds_the_same(tiny: DMVFN) -> None:
    context: Tensor = torch.rand(1, 2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(require_same_built(tiny)(context, 2), tiny(context, 2))


def test_what_does_not_fit_is_refused(tiny: DMVFN) -> None:
    with pytest.raises(ValueError, match="2 widths for 1 scales"):
        DMVFN((8, 8), (1,))
    with pytest.raises(ValueError, match=r"scales are \[3\]; expected powers of 2"):
        DMVFN((8,), (3,))
    with pytest.raises(ValueError, match="at least 4 channels"):
        DMVFN((2,), (1,))
    with pytest.raises(ValueError, match="unknown preset 'huge'; expected one of faithful, cpu"):
        DMVFN.from_preset("huge")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="context has 1 channel,"):
        tiny(torch.rand(1, 2, 1, 8, 8), 1)


def test_coarse_blocks_see_flows_in_their_own_pixels() -> None:
    block = DMVFN((8, 4), (4, 1)).blocks[0]
    maps: list[Tensor] = []
    block.coarse.register_forward_pre_hook(lambda _, given: maps.append(given[0]))
    block(torch.zeros(1, 13, 32, 32), torch.full((1, 4, 32, 32), 8.0))
    torch.testing.assert_close(maps[0][:, 13:], torch.full((1, 4, 8, 8), 8.0 / 4))


def test_weights_that_are_not_finite_are_not_hidden(tiny: DMVFN) -> None:
    context = torch.rand(1, 2, 3, 16, 16)
    route(tiny, float("nan"), 0.0, 0.0)  # no block is more probable than another
    with torch.no_grad():
        assert tiny(context, 2).isnan().all()
    assert tiny(context, 1).isnan().all()
    assert tiny.stages(context)[-1].isnan().all()
