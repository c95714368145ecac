import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F

from vidpred.kernels import has_native_kernels, winograd_conv2d

# Tiles that fit, tiles that hang over the edge, no padding, the sizes of the networks, and bands.
CASES = [
    *[(3, 1, 8, 12), (3, 0, 7, 9), (5, 2, 9, 32), (5, 0, 12, 16), (5, 2, 16, 16)],
    *[(3, 1, 70, 66), (5, 2, 61, 90), (5, 0, 70, 150), (3, 3, 9, 10), (5, 4, 11, 8)],
    *[(7, 0, 32, 32), (7, 3, 9, 33), (7, 0, 7, 8), (7, 3, 70, 66), (7, 6, 11, 8), (7, 9, 7, 7)],
]
# Fewer than the 16 channels that the kernels take at a time, as many, nearly as many (with channels
# of zeros added), and some left over.
CHANNELS = [(6, 4), (16, 32), (15, 14), (35, 19)]
SINGLE = 1e-4
"""Of the standard deviation; measured up to 7e-5, with 5 x 5."""


def example(
    kernel: int, height: int, width: int, channels: tuple[int, int] = (6, 4)
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(kernel)
    many = partial(torch.randn, generator=generator, dtype=torch.float64)
    before, after = channels
    return (
        many(2, before, height, width),
        many(after, before, kernel, kernel),
        many(after),
    )


def require_close(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == torch.float32
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < SINGLE * expected.std()


@pytest.mark.parametrize(("kernel", "padding", "height", "width"), CASES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_is_a_convolution(
    kernel: int, padding: int, height: int, width: int, layout: torch.memory_format
) -> None:
    frames, weight, bias = example(kernel, height, width)
    frames = frames.to(memory_format=layout)
    expected = F.conv2d(frames, weight, bias, padding=padding)
    torch.testing.assert_close(winograd_conv2d(frames, weight, bias, padding), expected)
    without = winograd_conv2d(frames, weight, None, padding)
    torch.testing.assert_close(without, expected - bias.view(1, -1, 1, 1))


@pytest.mark.parametrize(("kernel", "padding", "height", "width"), CASES)
def test_its_gradients_are_a_convolutions(
    kernel: int, padding: int, height: int, width: int
) -> None:
    frames, weight, bias = (x.requires_grad_() for x in example(kernel, height, width))
    expected = F.conv2d(frames, weight, bias, padding=padding)
    inputs = (frames, weight, bias)
    upstream = torch.rand_like(expected)
    wanted = torch.autograd.grad(expected, inputs, upstream)
    found = torch.autograd.grad(winograd_conv2d(*inputs, padding), inputs, upstream)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("kernel", "padding", "height", "width"), CASES)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("native", [False, True])
def test_single_precision_loses_few_digits(
    kernel: int, padding: int, height: int, width: int, channels: tuple[int, int], native: bool
) -> None:
    if native and not has_native_kernels(kernel):
        pytest.skip("no C compiler here")
    exact = example(kernel, height, width, channels)
    single = [x.float().requires_grad_() for x in exact]
    inputs = [x.requires_grad_() for x in exact]
    expected = F.conv2d(*inputs, padding=padding)
    upstream = torch.rand_like(expected) - 0.5
    wanted = torch.autograd.grad(expected, inputs, upstream)
    found = winograd_conv2d(*single, padding, native=native)
    assert found.is_contiguous(memory_format=torch.channels_last)
    require_close(found, expected)
    without = winograd_conv2d(single[0], single[1], None, padding, native=native)
    require_close(without, expected - exact[2].view(1, -1, 1, 1))
    for ours, theirs in zip(
        torch.autograd.grad(found, single, upstream.float()), wanted, strict=True
    ):
        require_close(ours, theirs)


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(("kernel", "height"), [(3, 17), (5, 70), (7, 21)])
def test_rectified_it_is_followed_by_a_relu(kernel: int, height: int, native: bool) -> None:
    exact = [x.requires_grad_() for x in example(kernel, height, height, (15, 20))]
    single = [x.detach().float().requires_grad_() for x in exact]
    convolved = F.conv2d(*exact, padding=1)
    found = winograd_conv2d(*single, 1, relu=True, native=native)
    # What is near zero may be rounded to its other side.
    upstream = torch.rand_like(convolved) * (convolved.abs() > 1e-3)
    require_close(found, convolved.relu())
    wanted = torch.autograd.grad(convolved.relu(), exact, upstream)
    gradients = torch.autograd.grad(found, single, upstream.float())
    for ours, theirs in zip(gradients, wanted, strict=True):
        require_close(ours, theirs)
    with torch.no_grad():
        assert torch.equal(winograd_conv2d(*single, 1, relu=True, native=native), found)


def test_what_is_kept_for_the_gradients_may_come_back_in_another_layout() -> None:
    inputs = [x.float().requires_grad_() for x in example(5, 20, 20, (16, 32))]
    found = []
    for pack in (lambda x: x, lambda x: x.contiguous()):  # such as `save_on_cpu(pin_memory=True)`
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            convolved = winograd_conv2d(*inputs, 2, relu=True)
        found.append(torch.autograd.grad(convolved.square().sum(), inputs))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_some_gradients_without_the_others() -> None:
    frames, weight, bias = (x.float() for x in example(5, 16, 16, (16, 32)))
    for wanted in ((frames,), (weight,), (bias,), (frames, weight)):
        for tensor in (frames, weight, bias):
            tensor.requires_grad_(any(tensor is one for one in wanted))
        upstream = torch.randn(2, 32, 16, 16)
        found = torch.autograd.grad(winograd_conv2d(frames, weight, bias, 2), wanted, upstream)
        expected = torch.autograd.grad(F.conv2d(frames, weight, bias, padding=2), wanted, upstream)
        for ours, theirs in zip(found, expected, strict=True):
            require_close(ours, theirs)


@pytest.mark.parametrize("other", [torch.float64, torch.bfloat16])
def test_types_that_differ_are_an_error_and_no_memory_read_wrongly(other: torch.dtype) -> None:
    frames, weight, bias = (x.float() for x in example(5, 16, 16, (16, 32)))
    with pytest.raises(RuntimeError, match="dtype"):
        winograd_conv2d(frames, weight.to(other), bias, 2)
    with pytest.raises(ValueError, match="the bias has 5 numbers; expected 32"):
        winograd_conv2d(frames, weight, bias[:5], 2)


def test_other_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the kernel has 9 rows; expected one of \(3, 5, 7\)"):
        winograd_conv2d(torch.zeros(1, 2, 9, 9), torch.zeros(2, 2, 9, 9), None, 4)


@pytest.mark.parametrize("relu", [False, True])
def test_first_and_second_derivatives_by_differences(relu: bool) -> None:
    frames, weight, _ = example(3, 5, 5)
    inputs = (frames[:1, :2].detach().requires_grad_(), weight[:2, :2].detach().requires_grad_())

    def convolved(frames: Tensor, weight: Tensor) -> Tensor:
        return winograd_conv2d(frames, weight, None, 1, relu=relu)

    assert gradcheck(convolved, inputs)
    assert gradgradcheck(convolved, inputs)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_without_gradients_it_holds_little_more_than_its_output() -> None:
    code = """
import re, torch
from vidpred.kernels import winograd_conv2d

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024

frames = torch.ones(1, 32, 512, 512).to(memory_format=torch.channels_last)
weight = torch.ones(64, 32, 5, 5, requires_grad=True)
with torch.inference_mode():
    winograd_conv2d(frames[..., :64, :64], weight, None, 2)  # libraries load
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    before = peak()
    made = winograd_conv2d(frames, weight, None, 2)
print(peak() - before, made.numel() * 4 / 2**20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    more, made = map(float, done.stdout.split())
    assert made <= more < 1.5 * made
