"""Kernels in C: compiled once, whole or not at all, and never missed where they cannot be."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from vidpred.kernels import has_native_kernels, native, winograd_conv2d
from vidpred.kernels.compiler import CompilerError, compile_c
from vidpred.kernels.tiling import Tiling


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own, whose kernels no other test meets."""
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "cache"))
    native.kernels.cache_clear()
    yield tmp_path / "cache" / "native"
    native.kernels.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    if sys.platform != "linux" or not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler here")
    file = tmp_path / "answer.c"
    file.write_text("int answer(void) { return ANSWER; }")
    return file


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_library_is_compiled_once_and_for_its_numbers(cache: Path, source: Path) -> None:
    assert compile_c(source, {"ANSWER": "42"}).answer() == 42
    made = files(cache)
    assert compile_c(source, {"ANSWER": "42"}).answer() == 42
    assert files(cache) == made
    assert compile_c(source, {"ANSWER": "7"}).answer() == 7
    assert len(files(cache)) == 2
    source.write_text("int answer(void) { return ANSWER + 1; }")
    assert compile_c(source, {"ANSWER": "42"}).answer() == 43


@pytest.mark.slow
def test_a_damaged_library_is_made_again(cache: Path, source: Path) -> None:
    compiled = "from sys import argv; from pathlib import Path; from vidpred.kernels.compiler "
    compiled += "import compile_c; print(compile_c(Path(argv[1]), {'ANSWER': '42'}).answer())"
    for _ in range(2):
        # In a process of its own: a library that is loaded must not be written to.
        done = subprocess.run(
            [sys.executable, "-c", compiled, source], capture_output=True, text=True, check=True
        )
        assert done.stdout == "42\n"
        (file,) = files(cache)
        file.write_bytes(b"")


def test_what_does_not_compile_is_told_and_leaves_nothing(cache: Path, source: Path) -> None:
    with pytest.raises(CompilerError, match=r"(?s)ended with 1: .*ANSWER"):
        compile_c(source, {})
    assert files(cache) == []


def test_a_compiler_that_dies_leaves_nothing(
    cache: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "cc"
    dying.write_text('#!/bin/sh\nfor last; do :; done\necho half > "$last"\nkill -9 $$\n')
    dying.chmod(0o755)
    monkeypatch.setenv("CC", str(dying))
    with pytest.raises(CompilerError, match="ended with -9"):
        compile_c(source, {"ANSWER": "42"})
    assert files(cache) == []
    monkeypatch.setenv("CC", "gcc 'half")
    with pytest.raises(CompilerError, match=r"CC is .* No closing quotation"):
        compile_c(source, {"ANSWER": "42"})


def test_without_a_compiler_the_convolution_goes_on(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    frames, weight = torch.randn(1, 16, 16, 16), torch.randn(32, 16, 5, 5)
    expected = winograd_conv2d(frames, weight, None, 2)
    native.kernels.cache_clear()
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("VIDPRED_CACHE", str(cache.parent / "other"))
    with caplog.at_level(logging.INFO):
        found = winograd_conv2d(frames, weight, None, 2)
    assert "matrix products, which is slower: there is no C compiler" in caplog.text
    assert not has_native_kernels(5)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_a_cache_that_cannot_be_written_is_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDPRED_CACHE", str(tmp_path / "file"))
    with pytest.raises(CompilerError, match="Not a directory"):
        compile_c(source, {"ANSWER": "42"})


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_threads_change_no_bit(kernel: int) -> None:
    library = native.kernels(kernel)
    if library is None:
        pytest.skip("no C compiler here")
    tiling = Tiling(3, 50, 70, kernel, kernel // 2)
    frames, weight = torch.randn(3, 50, 70, 20), torch.randn(24, 20, kernel, kernel)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            transforms = native.NativeTransforms(tiling, library)
            made, gradient = torch.zeros_like(frames), torch.zeros_like(frames)
            filters = transforms.filter_transform(weight)
            results = [made, gradient, filters, transforms.filter_gradient(filters)]
            for band in tiling.bands:
                seen = transforms.input_transform(frames, band)
                transforms.input_gradient(seen, band, gradient)
                products = seen[..., : frames.shape[-1]].contiguous()
                transforms.output_transform(products, None, band, made, relu=False)
                results += [seen, transforms.output_gradient(frames, band, frames).clone()]
            found.append(results)
    finally:
        torch.set_num_threads(before)
    assert all(result.count_nonzero() > 0.3 * result.numel() for result in found[0])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert torch.equal(one, other)


def test_small_numbers_stay_numbers() -> None:
    """Libraries made with GCC's -ffast-math turn them to zero in the whole process."""
    has_native_kernels(5)
    assert torch.tensor(1e-40) * torch.tensor(0.5) > 0


def test_numbers_that_are_none_stay_none() -> None:
    frames = torch.zeros(1, 16, 16, 16)
    frames[0, 0, 8, 8] = torch.nan
    for relu in (False, True):
        made = winograd_conv2d(frames, torch.ones(32, 16, 5, 5), None, 2, relu=relu)
        assert made[..., 6:11, 6:11].isnan().all()
