"""Time prediction: ours against plain eager and public predictors, side by side in one run.

    python tools/bench_predict.py                                  # about ten minutes on two cores
    python tools/bench_predict.py --presets small --sizes 240x320 --batches 1
    python tools/bench_predict.py --presets small --sizes 240x320 --batches 1 --horizon 1 \
        --others flow_refiner dmvfn dmvfn_cpu                      # the next frame, flow included
    python tools/bench_predict.py --simvp SimVP --predrnn predrnn-pytorch --dmvfn CVPR2023-DMVFN \
        --phydnet PhyDNet --simvp_v2 OpenSTL --tau OpenSTL --convlstm OpenSTL  # their checkouts
    python tools/bench_predict.py --sizes 64x64 --batches 1 --presets small --authors_only \
        --clock processor --simvp SimVP                            # on a machine that others use

Each way runs in a process of its own, as a user would run it, and they take turns, so that all meet
the same disturbances. A turn is one rollout from 4 past frames; plain eager is `plain_port.py`. The
matrix-product ceiling is the best of products that take turns with them. Weights are fresh: they
change no time. "as `vidpred predict`" adds the border of repeated pixels, decoding and writing not.
"NAME of vidpred" is the same network as a public one, with the kernels of the commands. Numbers are
of the median turn by the clock, or of the least one in time of the processor, all threads added.
"""

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Self, get_args

import torch
from plain_port import Generator, pyramid
from processor import describe_processor
from public_predictors import OURS as SAME
from public_predictors import PUBLIC
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vidpred.flow import DISFlow
from vidpred.kernels import accelerate, keep_freed_memory
from vidpred.models import DMVFN, FlowRefiner, MultiScaleGenerator, Predictor
from vidpred.prediction.rollout import Rollout
from vidpred.prediction.windows import Window
from vidpred.provenance import provenance
from vidpred.video.playing import Look

CONTEXT = 4
OURS = {
    "plain": "plain eager",
    "ours": "ours",
    "predict": "ours, as `vidpred predict`",
}
SAME_HERE = " of vidpred"
OTHERS: dict[str, Callable[[], Predictor]] = {
    "flow_refiner": lambda: FlowRefiner(DISFlow("fine_fast")),  # as the bundled one
    "dmvfn": lambda: DMVFN.from_preset("faithful"),
    "dmvfn_cpu": lambda: DMVFN.from_preset("cpu"),
}
"""Other predictors of ours, which any preset can be compared with: their flow included."""

Clock = Literal["wall", "processor"]

MEMORY = 14 * 2**30
"""Of a process; what needs more is reported as such."""


@dataclass(frozen=True)
class Job:
    """What one process predicts, and how.

    Attributes:
        way: `plain`, `ours`, `predict` (ours as the command runs it), `ceiling`, a public one, or
            `NAME of vidpred`, the same network of this package.
        preset: Of our network.
        height: Rows of a frame.
        width: Columns.
        batch: Clips at once.
        horizon: Frames to predict.
        device: Where.
        checkout: Of a public predictor.
        clock: `wall`, or `processor`, which others on the machine lengthen less.
    """

    way: str
    preset: str
    height: int
    width: int
    batch: int
    horizon: int
    device: str
    checkout: Path | None = None
    clock: Clock = "wall"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["small", "paper"])
    parser.add_argument("--sizes", nargs="+", default=["64x64", "240x320", "1080x1920"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--horizon", type=int, default=8)
    parser.add_argument("--others", nargs="*", default=[], choices=list(OTHERS))
    parser.add_argument("--seconds", type=float, default=20, help="for each row, at least 3 turns")
    parser.add_argument("--longest", type=float, default=30, help="seconds of a turn, at most")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--clock", choices=get_args(Clock), default="wall")
    parser.add_argument("--authors_only", action="store_true", help="leave out our own network")
    for name in PUBLIC:
        parser.add_argument(f"--{name}", type=Path, help="checkout, see public_predictors.py")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    public = {name: path for name in PUBLIC if (path := getattr(arguments, name)) is not None}
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {provenance()['commit']}")
    print(f"{describe_processor(device)}, torch {torch.__version__}, horizon {arguments.horizon}")
    print(f"{torch.get_num_threads()} threads, {arguments.clock} time")
    own = () if arguments.authors_only else (*OURS, *arguments.others)
    for size in arguments.sizes:
        height, width = map(int, size.split("x"))
        for batch in arguments.batches:
            for preset in arguments.presets:
                job = Job(
                    *("", preset, height, width, batch, arguments.horizon, str(device)),
                    clock=arguments.clock,
                )
                # The public ones have no presets.
                others = public if preset == arguments.presets[0] else {}
                _table(job, others, arguments.seconds, arguments.longest, own)


def _table(
    job: Job, public: dict[str, Path], seconds: float, longest: float, own: tuple[str, ...]
) -> None:
    frames = job.batch * job.horizon
    flops = _flops(job.preset) * job.height * job.width / 64**2 * frames
    print(
        f"\n{job.preset}, {job.height} x {job.width}, batch {job.batch}: "
        f"{flops / frames / 1e9:.2f} GFLOP a frame\n"
    )
    print("| | frames/s | against plain | of the ceiling | peak memory, MiB |")
    print("|---|---|---|---|---|", flush=True)

    def way(name: str, checkout: Path | None = None) -> "_Way":
        return _Way(replace(job, way=name, checkout=checkout), longest)

    with ExitStack() as stack:
        products = stack.enter_context(way("ceiling"))
        estimate = flops * min(products.turn() for _ in range(3))
        wanted: dict[str, _Way] = {}
        for name, checkout in public.items():
            wanted |= {name: way(name, checkout), name + SAME_HERE: way(name + SAME_HERE)}
        if own and estimate > longest:
            print(f"| plain, ours | left out: {estimate:,.0f} s a turn by its products | | | |")
        else:
            wanted = {name: way(name) for name in own} | wanted
        ways = {name: stack.enter_context(each) for name, each in wanted.items()}
        begun, turns = time.perf_counter(), 0
        while turns < 3 or time.perf_counter() - begun < seconds:
            for each in (products, *ways.values()):
                each.turn()
            turns += 1
        ceiling = 1 / min(products.taken)
        typical: Callable[[list[float]], float]
        typical = statistics.median if job.clock == "wall" else min
        for name, each in ways.items():
            if each.problem:
                print(f"| {name} | {each.problem} | | | |")
                continue
            taken, against, share = typical(each.taken), "", ""
            if name in OURS:
                against = f"{typical(ways['plain'].taken) / taken:.2f}"
                share = f"{flops / taken / ceiling:.0%}"
            elif name.endswith(SAME_HERE):
                theirs = ways[name.removesuffix(SAME_HERE)].taken
                against = f"{typical(theirs) / taken:.2f} of its authors'"
            memory = f"{each.peak / 2**20:.0f}"
            label = OURS.get(name, name)
            print(f"| {label} | {frames / taken:.2f} | {against} | {share} | {memory} |")
        print(f"\nceiling {ceiling / 1e9:.1f} GFLOP/s, {turns} turns", flush=True)


class _Way:
    """A process that predicts when it is asked to."""

    def __init__(self, job: Job, longest: float) -> None:
        self._longest = longest
        self._pipe, end = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        threads = torch.get_num_threads()
        self._process = context.Process(target=_serve, args=(end, job, threads), daemon=True)
        self.taken: list[float] = []
        self.peak = 0
        self.problem = ""

    def __enter__(self) -> Self:
        self._process.start()
        self.turn()  # caches fill
        self.taken.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def turn(self) -> float:
        """Take one, and give its seconds; for the ceiling the seconds of one FLOP."""
        if self.problem:
            return float("nan")
        self._pipe.send("turn")
        # The first one begins with the imports, and a border makes small frames dearer.
        patience = 3 * self._longest + 30
        answer: Any = f"more than {patience:.0f} s a turn"
        if self._pipe.poll(patience):
            answer = self._pipe.recv()
        if isinstance(answer, str):
            self.problem = answer
            self.end()
            return float("nan")
        seconds, self.peak = answer
        self.taken.append(seconds)
        return float(seconds)

    def end(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()


def _serve(pipe: Connection, job: Job, threads: int) -> None:
    torch.set_num_threads(threads)
    device = torch.device(job.device)
    if device.type == "cpu":
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    now = time.perf_counter if job.clock == "wall" else time.process_time
    try:
        work = _way_of(job)(job, device)
        while pipe.recv():
            with torch.inference_mode():
                begun = now()
                flops = work()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                seconds = (now() - begun) / (flops or 1)
            pipe.send((seconds, _peak(device)))
    except Exception as error:  # of another's code, any
        lack = isinstance(error, MemoryError) or "memory" in str(error)
        pipe.send("needs more memory" if lack else f"{type(error).__name__}: {error}")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage gives begins with the parent's
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


Work = Callable[[], float | None]


def _context(job: Job, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (job.batch, CONTEXT, 3, job.height, job.width)
    return torch.rand(shape, generator=generator).to(device)


def _plain(job: Job, device: torch.device) -> Work:
    network = Generator(job.preset).eval().to(device)
    context = 2 * _context(job, device) - 1

    def work() -> None:
        frames = list(context.unbind(1))
        for _ in range(job.horizon):
            # Padding to a multiple is not the point here: 1080 is one of 8.
            frames.append(network(pyramid(torch.cat(frames[-CONTEXT:], dim=1)))[-1])

    return work


def _network(job: Job, device: torch.device) -> MultiScaleGenerator:
    if device.type == "cpu":
        keep_freed_memory()
    network = MultiScaleGenerator.from_preset(job.preset)  # type: ignore[arg-type]
    if device.type == "cpu":
        accelerate(network)  # as the command does
    # As `load_predictor` gives it.
    return network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]


def _ours(job: Job, device: torch.device) -> Work:
    network, context = _network(job, device), _context(job, device)

    def work() -> None:
        network(context, job.horizon)

    return work


def _other(job: Job, device: torch.device) -> Work:
    network = OTHERS[job.way]().eval().to(device)
    context = _context(job, device)

    def work() -> None:
        network(context, job.horizon)

    return work


def _predict(job: Job, device: torch.device) -> Work:
    network, pixels = _network(job, device), (255 * _context(job, device)).byte().cpu().numpy()
    look = Look(job.height, job.width, Fraction(25))
    windows = [
        Window(look, None, tuple(frame.transpose(1, 2, 0) for frame in clip), ()) for clip in pixels
    ]
    rollout = Rollout(network, device=device, max_memory=MEMORY, batch_size=job.batch)

    def work() -> None:
        for _ in rollout(windows, job.horizon):
            pass

    return work


def _ceiling(job: Job, device: torch.device) -> Work:
    size = 1024 if device.type == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device) for _ in range(2))

    def work() -> float:
        for _ in range(4):
            a @ b
        return 4 * 2.0 * size**3

    return work


def _public(job: Job, device: torch.device) -> Work:
    assert job.checkout is not None
    build: Any = PUBLIC[job.way]
    predict = build(job.checkout, job.height, job.width, job.horizon, device)
    context = _context(job, device)

    def work() -> None:
        pred = predict(context, job.horizon)
        assert pred.shape == (job.batch, job.horizon, *context.shape[2:])

    return work


def _same(job: Job, device: torch.device) -> Work:
    predictor = SAME[job.way.removesuffix(SAME_HERE)](job.horizon)
    if device.type == "cpu":
        keep_freed_memory()
        accelerate(predictor)
    predictor, context = predictor.eval().to(device), _context(job, device)
    if predictor.channels == 1:
        context = context.mean(2, keepdim=True)
    frames = predictor.context_frames
    seen = torch.cat([context] * -(-frames // CONTEXT), dim=1)[:, -frames:]

    def work() -> None:
        predictor(seen, job.horizon)

    return work


def _way_of(job: Job) -> Callable[[Job, torch.device], Work]:
    if job.way.endswith(SAME_HERE):
        return _same
    return _WORK.get(job.way, _other if job.way in OTHERS else _public)


_WORK: dict[str, Callable[[Job, torch.device], Work]] = {
    "plain": _plain,
    "ours": _ours,
    "predict": _predict,
    "ceiling": _ceiling,
}


def _flops(preset: str) -> float:
    """Of one frame of 64 x 64 pixels; all sizes take as many a pixel."""
    network = Generator(preset)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(pyramid(torch.zeros(1, 3 * CONTEXT, 64, 64)))
    return float(counter.get_total_flops())


if __name__ == "__main__":
    main()
