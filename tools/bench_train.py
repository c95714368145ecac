"""Time our training step against a plain port, option by option, side by side in one run.

    python tools/bench_train.py                                # about three minutes on two cores
    python tools/bench_train.py --data-root data/ucf101        # data and callbacks, too
    python tools/bench_train.py --device cuda --batch-size 64 --seconds 10

Each row is a fit by Lightning, between whose batches the port (`plain_port.py`) takes steps on the
same clips, in a process of its own, since some options hold for a whole process: both meet the same
disturbances, and the ratio is of medians. A turn takes about half a second, as no training has its
caches emptied by another after every step. Ours includes all that Lightning does in a batch. FLOPs
are counted on the port, so that utilisation means the same for all (algorithms with fewer products
may exceed 100 %).
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import pytorch_lightning as pl
import torch
from plain_port import PlainTraining
from processor import describe_processor
from torch import Tensor
from torch.utils.data import IterableDataset
from torch.utils.flop_counter import FlopCounterMode

from vidpred.callbacks import DivergenceGuard, GradientCertificate, Pictures, TrainingHealth
from vidpred.data import UCF101DataModule
from vidpred.kernels import has_native_kernels, keep_freed_memory
from vidpred.losses import MultiScaleLoss
from vidpred.models import MultiScaleDiscriminator, MultiScaleGenerator
from vidpred.provenance import provenance
from vidpred.tasks import AdversarialTask, NextFrameTask, ReconstructionTask, Speed

PLAIN: dict[str, Any] = {
    "channels_last": False,
    "compile": "off",
    "winograd": False,
    "native_kernels": False,
    "fused_optimizers": False,
    "keep_freed_memory": False,
    "late_finite_check": False,
}
CPU_ROWS: dict[str, dict[str, Any]] = {
    "ours, every option off": {},
    "+ channels last": {"channels_last": True},
    "+ Winograd": {"winograd": True},
    "+ its transforms in C": {"native_kernels": True},
    "+ fused optimizers": {"fused_optimizers": True},
    "+ freed memory is kept (the defaults)": {"keep_freed_memory": True},
}
CUDA_ROWS: dict[str, dict[str, Any]] = {
    "ours, every option off": {},
    "+ bf16": {"precision": "bf16-mixed"},
    "+ channels last": {"channels_last": True},
    "+ compiled": {"compile": "default"},
    "+ fused optimizers": {"fused_optimizers": True},
    "+ late finite check (the defaults)": {"late_finite_check": True},
    "+ CUDA graphs": {"compile": "reduce-overhead"},
}

_TURN = 0.5  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["small", "paper"])
    parser.add_argument("--batch-size", type=int, default=8, help="patches; `paper` on a CPU: half")
    parser.add_argument("--patch-size", type=int, default=32, help="height and width of a patch")
    parser.add_argument("--seconds", type=float, default=8, help="for each row, at least 3 turns")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--data-root", type=Path, help="UCF101, or a part of it")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    _print_origin(device)
    ceilings = {dtype: _ceiling(device, dtype) for dtype in _dtypes(device)}
    for dtype, ceiling in ceilings.items():
        print(f"matrix-product ceiling, {dtype}: {ceiling / 1e9:,.1f} GFLOP/s")
    for preset in arguments.presets:
        slow = preset == "paper" and device.type == "cpu"
        batch_size = arguments.batch_size // 2 if slow else arguments.batch_size
        rows = CUDA_ROWS if device.type == "cuda" else CPU_ROWS
        for adversarial in (False, True):
            patches = (batch_size, arguments.patch_size)
            table = _Table(preset, device, patches, ceilings, adversarial=adversarial)
            options, precision = dict(PLAIN), "32-true"
            for k, (name, more) in enumerate(rows.items()):
                precision = more.get("precision", precision)
                options |= {key: value for key, value in more.items() if key != "precision"}
                if not slow or k == len(rows) - 1:  # minutes otherwise
                    table.row(name, Speed(**options), precision, arguments.seconds)
    if arguments.data_root is not None:
        _data_and_callbacks(arguments.data_root, device, arguments.batch_size)


class _Table:
    """Rows of one preset, with or without discriminator."""

    def __init__(
        self,
        preset: str,
        device: torch.device,
        patches: tuple[int, int],
        ceilings: dict[torch.dtype, float],
        *,
        adversarial: bool,
    ) -> None:
        self.preset, self.adversarial = preset, adversarial
        self.device, self.ceilings = device, ceilings
        self.batch_size, self.patch_size = patches
        generator = torch.Generator().manual_seed(1)
        shape = (self.batch_size, 5, 3, self.patch_size, self.patch_size)
        self.frames = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        with FlopCounterMode(display=False) as counter:
            port = PlainTraining(
                preset, device, adversarial=adversarial, patch_size=self.patch_size
            )
            port.step(self.frames.to(device))
        self.flops = counter.get_total_flops()
        what = "with D" if adversarial else "reconstruction"
        size = f"{self.batch_size} patches of {self.patch_size} x {self.patch_size} a batch"
        print(f"\n{preset}, {what}, {size}, {self.flops / 1e9:.2f} GFLOP")
        print("| | ms | patches/s | port: ms | ratio | of the ceiling | first step, s | differs |")
        print("|---|---|---|---|---|---|---|---|")

    def row(self, name: str, speed: Speed, precision: str, seconds: float) -> None:
        torch.manual_seed(1)
        task = _task(self.preset, self.patch_size, adversarial=self.adversarial, speed=speed)
        names = dict(task.named_parameters())
        before = [weight.detach().clone() for weight in names.values()]
        with _PortProcess(self.preset, self.device, self.frames, before) as port:
            steps = _Alternating(self.frames, self.device, port.steps, seconds)
            _fit(task, steps, self.device, precision)
            after = port.weights()
        ours, theirs = statistics.median(steps.ours), statistics.median(steps.theirs)
        dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
        share = self.flops / ours / self.ceilings[dtype]
        port_share = self.flops / theirs / self.ceilings[torch.float32]
        print(
            f"| {name} | {ours * 1e3:.1f} | {self.batch_size / ours:.1f} | {theirs * 1e3:.1f} "
            f"| **{theirs / ours:.2f}** | {share:.0%} (port {port_share:.0%}) "
            f"| {steps.first:.1f} | {_difference(list(names.values()), after):.0e} |",
            flush=True,
        )


class _PortProcess:
    """The port in a process of its own, which steps when it is asked to."""

    def __init__(
        self, preset: str, device: torch.device, frames: Tensor, weights: Sequence[Tensor]
    ) -> None:
        self._pipe, end = multiprocessing.Pipe()
        # Numbers of CPU and float32 go through the pipe as arrays, not as shared memory.
        arrays = [weight.cpu().numpy() for weight in weights]
        arguments = (end, preset, str(device), frames.numpy(), arrays, torch.get_num_threads())
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_serve_port, args=arguments, daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(None)
        self._process.join()

    def steps(self, count: int) -> float:
        """Take steps and give the seconds that each took."""
        self._pipe.send(count)
        seconds: float = self._pipe.recv()
        return seconds

    def weights(self) -> list[Tensor]:
        self._pipe.send(0)
        return [torch.from_numpy(array) for array in self._pipe.recv()]


def _serve_port(
    pipe: Connection, preset: str, device: str, frames: Any, weights: Sequence[Any], threads: int
) -> None:
    torch.set_num_threads(threads)
    where = torch.device(device)
    # With a discriminator there are more weights than the generator's.
    generator = PlainTraining(preset, where, adversarial=False).generator
    adversarial = len(weights) > len(list(generator.parameters()))
    size = frames.shape[-1]
    port = PlainTraining(preset, where, adversarial=adversarial, patch_size=size)
    parameters = list(port.generator.parameters())
    if adversarial:
        parameters += list(port.discriminator.parameters())
    for parameter, array in zip(parameters, weights, strict=True):
        parameter.data.copy_(torch.from_numpy(array))
    clips = torch.from_numpy(frames).to(where)
    while (count := pipe.recv()) is not None:
        if not count:
            pipe.send([parameter.detach().cpu().numpy() for parameter in parameters])
            continue
        begun = time.perf_counter()
        for _ in range(count):
            port.step(clips)
        _wait(where)
        pipe.send((time.perf_counter() - begun) / count)


class _Alternating(IterableDataset[dict[str, Any]]):
    """Gives a batch to Lightning, takes the time until it asks for the next, lets the port step."""

    def __init__(
        self, frames: Tensor, device: torch.device, port: Callable[[int], float], seconds: float
    ) -> None:
        self.frames, self.device, self.port, self.seconds = frames, device, port, seconds
        self.ours: list[float] = []
        self.theirs: list[float] = []
        self.first = 0.0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _ in range(4):  # it compiles, caches fill; Lightning asks for two before its first step
            begun = time.perf_counter()
            yield {"frames": self.frames}
            _wait(self.device)
            last = time.perf_counter() - begun
            self.first = max(self.first, last)
            self.port(1)
        # A GPU works ahead, and is timed over many steps.
        block = 20 if self.device.type == "cuda" else max(1, round(_TURN / last))
        begun = time.perf_counter()
        while len(self.ours) < 3 or time.perf_counter() - begun < self.seconds:
            _wait(self.device)
            mark = time.perf_counter()
            for _ in range(block):
                yield {"frames": self.frames}
            _wait(self.device)
            self.ours.append((time.perf_counter() - mark) / block)
            self.theirs.append(self.port(block))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _task(preset: Any, patch_size: int, *, adversarial: bool, speed: Speed | None) -> NextFrameTask:
    generator = MultiScaleGenerator.from_preset(preset)
    loss = MultiScaleLoss(gradient_difference_weight=1)
    if not adversarial:
        return ReconstructionTask(generator, loss=loss, speed=speed)
    discriminator = MultiScaleDiscriminator.from_preset(preset, patch_size=patch_size)
    return AdversarialTask(generator, discriminator, loss=loss, speed=speed)


def _trainer(device: torch.device, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def _fit(task: NextFrameTask, steps: _Alternating, device: torch.device, precision: Any) -> None:
    loader = torch.utils.data.DataLoader(steps, batch_size=None)
    if task.speed.on(device).keep_freed_memory:
        keep_freed_memory()  # as `vidpred fit` does
    _trainer(device, precision=precision).fit(task, loader)


def _difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """How far the two are apart after as many steps, relative to the weights."""
    pairs = [(a.detach().cpu(), b) for a, b in zip(ours, theirs, strict=True)]
    apart = sum(float((a - b).square().sum()) for a, b in pairs)
    return float((apart / sum(float(b.square().sum()) for _, b in pairs)) ** 0.5)


def _dtypes(device: torch.device) -> list[torch.dtype]:
    return [torch.float32, torch.bfloat16] if device.type == "cuda" else [torch.float32]


def _ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """The fastest product of two square matrices, FLOP/s."""
    sizes = (4096, 8192) if device.type == "cuda" else (256, 512, 1024)
    best = 0.0
    for size in sizes:
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        for _ in range(20):
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            begun = time.perf_counter()
            for _ in range(4):
                a @ b
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            best = max(best, 4 * 2 * size**3 / (time.perf_counter() - begun))
    return best


class _HookTimes(pl.profilers.Profiler):
    """Adds up the time of every named action of Lightning's."""

    def __init__(self) -> None:
        super().__init__()
        self.total: dict[str, float] = {}
        self._begun: dict[str, float] = {}

    def start(self, action_name: str) -> None:
        self._begun[action_name] = time.perf_counter()

    def stop(self, action_name: str) -> None:
        if (begun := self._begun.pop(action_name, None)) is not None:
            spent = time.perf_counter() - begun
            self.total[action_name] = self.total.get(action_name, 0.0) + spent

    def share(self, part: str, *, of: float) -> float:
        return sum(v for k, v in self.total.items() if part in k) / of


def _data_and_callbacks(root: Path, device: torch.device, batch_size: int) -> None:
    """An epoch of 1000 batches on real clips, with the callbacks that are there by default."""
    data = UCF101DataModule(root=str(root), batch_size=batch_size, max_val_videos=4, seed=1)
    task = _task("small", 32, adversarial=True, speed=None)
    profiler, span = _HookTimes(), _Span()
    watching = (GradientCertificate(), TrainingHealth(), DivergenceGuard(), Pictures())
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(
            device, default_root_dir=folder, profiler=profiler, callbacks=[span, *watching]
        )
        trainer.fit(task, data)
    print(
        f"\nsmall with D on real clips, an epoch: {span.batches} batches in {span.seconds:.1f} s, "
        f"{span.batches * batch_size / span.seconds:.1f} patches/s, of which\n"
    )
    print("| | share of the time |")
    print("|---|---|")
    waiting = profiler.share("train_dataloader_next", of=span.seconds)
    print(f"| waiting for data, the first batch included | {waiting:.2%} |")
    for callback in watching:
        name = type(callback).__name__
        print(f"| {name} | {profiler.share('[Callback]' + name, of=span.seconds):.2%} |")
    every = profiler.share("[Callback]", of=span.seconds)
    print(f"| all callbacks | {every:.2%} |", flush=True)


class _Span(pl.Callback):
    def __init__(self) -> None:
        self.batches, self.seconds, self._begun = 0, 0.0, 0.0

    def on_train_batch_end(self, *_: Any) -> None:
        if not self._begun:
            self._begun = time.perf_counter()
            return
        self.batches += 1
        self.seconds = time.perf_counter() - self._begun


def _print_origin(device: torch.device) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {provenance()['commit']}")
    print(f"{describe_processor(device)}, torch {torch.__version__}")
    if device.type == "cpu" and not has_native_kernels(5):
        print("no C compiler: Winograd's transforms are matrix products in all rows")


if __name__ == "__main__":
    main()
