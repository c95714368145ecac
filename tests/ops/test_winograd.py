import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F

from vidpred.ops import winograd_conv2d

# Tiles that fit, tiles that hang over the edge, no padding, the sizes of the networks, and bands.
CASES = [
    *[(3, 1, 8, 12), (3, 0, 7, 9), (5, 2, 9, 32), (5, 0, 12, 16), (5, 2, 16, 16)],
    *[(3, 1, 70, 66), (5, 2, 61, 90), (5, 0, 70, 150)],
]


def example(kernel: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(kernel)
    frames = torch.randn(2, 6, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 6, kernel, kernel, generator=generator, dtype=torch.float64)
    return frames, weight, torch.randn(4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("kernel", "padding", "height", "width"), CASES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_is_a_convolution(
    kernel: int, padding: int, height: int, width: int, layout: torch.memory_format
) -> None:
    frames, weight, bias = example(kernel, height, width)
    frames = frames.to(memory_format=layout)
    expected = F.conv2d(frames, weight, bias, padding=padding)
    torch.testing.assert_close(winograd_conv2d(frames, weight, bias, padding), expected)
    single = winograd_conv2d(frames.float(), weight.float(), bias.float(), padding)
    assert single.shape == expected.shape
    assert single.is_contiguous(memory_format=torch.channels_last)
    assert (single - expected).abs().max() < 1e-4 * expected.std()
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


def test_first_and_second_derivatives_by_differences() -> None:
    frames, weight, _ = example(3, 5, 5)
    inputs = (frames[:1, :2].detach().requires_grad_(), weight[:2, :2].detach().requires_grad_())

    def convolved(frames: Tensor, weight: Tensor) -> Tensor:
        return winograd_conv2d(frames, weight, None, 1)

    assert gradcheck(convolved, inputs)
    assert gradgradcheck(convolved, inputs)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_without_gradients_it_holds_little_more_than_its_output() -> None:
    code = """
import re, torch
from vidpred.ops import winograd_conv2d

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
