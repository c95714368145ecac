"""The Laplacian pyramid loss: the authors' module, closed forms, refusals."""

import pytest
import torch
from authors import checkout, importable

from vidpred.losses import LaplacianPyramidLoss, laplacian_pyramid_loss


def test_it_is_that_of_the_authors_of_dmvfn(monkeypatch: pytest.MonkeyPatch) -> None:
    with importable(checkout("CVPR2023-DMVFN")) as load:
        theirs = load("loss.loss")
    monkeypatch.setattr(theirs, "device", torch.device("cpu"))
    pred, target = torch.rand(2, 3, 64, 96), torch.rand(2, 3, 64, 96)
    expected = theirs.LapLoss()(pred, target)
    torch.testing.assert_close(laplacian_pyramid_loss(pred, target), expected, atol=1e-5, rtol=1e-5)


def test_a_single_level_is_the_difference_from_the_blurred_frame() -> None:
    # One pixel of height 1, on the even grid and far from borders: blurred it is the outer product
    # of b = [1, 4, 6, 4, 1] / 16 at the even places, and enlarged 4 times their blur.
    pred, target = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    pred[0, 0, 8, 8] = 1
    b = torch.zeros(16)
    b[6:11] = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    even = torch.zeros(16)
    even[[6, 8, 10]] = b[[6, 8, 10]]
    row = 2 * torch.conv1d(even.view(1, 1, -1), b[6:11].view(1, 1, -1), padding=2)[0, 0]
    expected = (pred[0, 0] - torch.outer(row, row)).abs().mean()
    torch.testing.assert_close(laplacian_pyramid_loss(pred, target, levels=1), expected)


def test_levels_end_where_frames_are_too_small() -> None:
    pred, target = torch.rand(1, 3, 16, 24), torch.rand(1, 3, 16, 24)
    # 16 x 24, 8 x 12, 4 x 6; the next has 2 rows.
    three, five = (laplacian_pyramid_loss(pred, target, levels) for levels in (3, 5))
    assert torch.equal(three, five)
    assert laplacian_pyramid_loss(pred, target, 2) < three
    for height, width in ((8, 12), (12, 8)):  # then 4 and 6, then 2 and 3
        pred, target = torch.rand(1, 3, height, width), torch.rand(1, 3, height, width)
        assert torch.equal(*(laplacian_pyramid_loss(pred, target, levels) for levels in (2, 3)))
        assert laplacian_pyramid_loss(pred, target, 1) < laplacian_pyramid_loss(pred, target, 2)
    for height, width in ((20, 24), (24, 20)):  # then 10 and 12, then 5, which is odd, and 6
        pred, target = torch.rand(1, 3, height, width), torch.rand(1, 3, height, width)
        assert torch.equal(*(laplacian_pyramid_loss(pred, target, levels) for levels in (2, 3)))


def test_there_are_five_levels_as_in_the_code_of_dmvfn() -> None:
    pred, target = torch.rand(1, 1, 128, 128), torch.rand(1, 1, 128, 128)
    five, six = (laplacian_pyramid_loss(pred, target, levels) for levels in (5, 6))
    assert five < six
    assert torch.equal(laplacian_pyramid_loss(pred, target), five)
    assert torch.equal(LaplacianPyramidLoss()(pred, target)["laplacian_pyramid_loss"], five)
    assert LaplacianPyramidLoss().weights == {"laplacian_pyramid_loss": 1.0}


def test_brightness_costs_nothing_and_the_gradient_reaches_every_pixel() -> None:
    target = torch.rand(1, 1, 1, 16, 16)
    assert laplacian_pyramid_loss(target + 0.2, target) < 1e-5
    pred = torch.rand(1, 1, 1, 16, 16, requires_grad=True)
    laplacian_pyramid_loss(pred, target).backward()
    assert pred.grad is not None
    assert (pred.grad != 0).all()


def test_half_precision_blurs_as_full() -> None:
    target = torch.rand(1, 1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert laplacian_pyramid_loss(target + 0.1, target) < 1e-6


def test_the_module_weighs_and_names_its_term() -> None:
    loss = LaplacianPyramidLoss(levels=2, weight=0.5, name="bands")
    assert loss.weights == {"bands": 0.5}
    pred, target = torch.rand(1, 1, 3, 8, 8), torch.rand(1, 1, 3, 8, 8)
    assert torch.equal(loss(pred, target)["bands"], laplacian_pyramid_loss(pred, target, 2))
    assert loss([pred, pred], [target, target])["bands"].shape == (2,)
    assert LaplacianPyramidLoss(weight=0.0)(pred, target) == {}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected equal shapes"):
        laplacian_pyramid_loss(torch.zeros(1, 8, 8), torch.zeros(1, 8, 10))
    with pytest.raises(ValueError, match="frames have 7 x 8 pixels; expected even sides"):
        laplacian_pyramid_loss(torch.zeros(1, 7, 8), torch.zeros(1, 7, 8))
    with pytest.raises(ValueError, match="frames have 8 x 7 pixels; expected even sides"):
        laplacian_pyramid_loss(torch.zeros(1, 8, 7), torch.zeros(1, 8, 7))
    with pytest.raises(ValueError, match="levels is 0"):
        LaplacianPyramidLoss(levels=0)
    with pytest.raises(ValueError, match="weight is -1"):
        LaplacianPyramidLoss(weight=-1.0)


def test_half_precision_of_a_training_does_not_round_it() -> None:
    target = torch.rand(1, 1, 3, 16, 16)
    pred = (target + 0.002 * torch.randn_like(target)).requires_grad_()
    found = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = laplacian_pyramid_loss(pred, target)
        found.append(torch.autograd.grad(loss, pred)[0])
    assert torch.equal(*found)
