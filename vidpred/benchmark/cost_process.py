"""The process that measures one row: reads a `CostRequest` on stdin, writes a `Cost` on stdout."""

import importlib
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vidpred.benchmark.cost import Cost, CostRequest
from vidpred.errors import VidpredError
from vidpred.evaluation.clips import EvaluationClip
from vidpred.evaluation.protocol import ClipCut, Protocol, load_protocol
from vidpred.evaluation.scoring.methods import PredictorMethod
from vidpred.evaluation.sources.video_clips import VideoClips
from vidpred.kernels import accelerate, describe, restore
from vidpred.models import Predictor, baseline
from vidpred.storage.saved import read_saved

FEWEST_TURNS = 3


def main() -> int:
    """Measure, and print the answer as JSON; a refusal is a line on stderr and status 2."""
    request: CostRequest = json.load(sys.stdin)
    try:
        print(json.dumps(measured(request)))
    except VidpredError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


def measured(request: CostRequest) -> Cost:
    """Measure a row in this process.

    Args:
        request: Which, on what.

    Returns:
        The cost.

    Raises:
        VidpredError: When the clip or the network cannot be read, or the prediction fails.
    """
    torch.set_num_threads(request["threads"])
    device = torch.device(request["device"])
    protocol = load_protocol(request["protocol"]).protocol
    clip = _first_clip(protocol, request["root"])
    torch.nn.functional.conv2d(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 3))  # loads libraries
    libraries = _resident(device)
    predictor = _predictor(request).to(device)
    method = PredictorMethod(predictor, {"name": "row", "kind": "model", "details": {}}, device)
    cut = protocol.clips
    if device.type == "cpu":
        accelerate(predictor)  # as every command does

    def predict() -> Tensor:
        pred = method.predict([clip], cut)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return pred

    predict()  # caches fill
    _forget_peak(device)
    taken = _turns(predict, request["seconds"])
    peak = _peak(device)
    ways = describe(predictor)
    restore(predictor)
    # Last, since the counter brings 90 MiB of libraries with it.
    flops = _flops(method, clip, cut)
    height, width = clip.target.shape[-2:]
    return {
        "parameters": sum(parameter.numel() for parameter in predictor.parameters()),
        "multiply_adds": None if flops is None else flops // (2 * cut.horizon),
        "frames_per_second": cut.horizon / statistics.median(taken),
        "peak_memory": peak,
        "own_memory": max(0, peak - libraries),
        "turns": len(taken),
        "kernels": ways,
        "measured_on": {
            "clip": clip.name,
            "height": height,
            "width": width,
            "context_frames": cut.context_frames,
            "horizon": cut.horizon,
            "device": device.type,
            "processor": _processor(device),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
        },
    }


def _first_clip(protocol: Protocol, root: str) -> EvaluationClip:
    problem: VidpredError | None = None
    for unit in VideoClips(protocol, root, with_masks=False).units():
        for loaded in unit.load().values():
            if isinstance(loaded, EvaluationClip):
                return loaded
            problem = problem or loaded
    raise problem or VidpredError(f"{root}: no clip can be read; expected one of the protocol's")


def _predictor(request: CostRequest) -> Predictor:
    method = request["method"]
    if "baseline" in method:
        return baseline(method["baseline"])
    modules = [importlib.import_module(name) for name in request["modules"]]
    return read_saved(method["saved"]).build(modules=modules)


def _flops(method: PredictorMethod, clip: EvaluationClip, cut: ClipCut) -> int | None:
    """Count what plain PyTorch computes; our kernels are faster and nothing that it knows."""
    try:
        with FlopCounterMode(display=False) as counter:
            method.predict([clip], cut)
    except NotImplementedError:  # an operation that the counter cannot take apart
        return None
    return int(counter.get_total_flops())


def _turns(predict: Callable[[], Tensor], seconds: float) -> list[float]:
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < FEWEST_TURNS or time.perf_counter() - begun < seconds:
        before = time.perf_counter()
        predict()
        taken.append(time.perf_counter() - before)
    return taken


def _forget_peak(device: torch.device) -> None:
    """Let the peak begin here: loading and counting are no part of a prediction."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, proc(5)


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) of either
    return _of_status("VmHWM") or unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _resident(device: torch.device) -> int:
    """Give the bytes that are there before the network is: Python's and the libraries'."""
    return 0 if device.type == "cuda" else _of_status("VmRSS")


def _of_status(field: str) -> int:
    """Read bytes off Linux's /proc/self/status; 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
