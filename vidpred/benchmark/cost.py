"""What a row costs: parameters, multiply-adds, frames per second and memory, each on its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from vidpred.files import write_json

if TYPE_CHECKING:
    from vidpred.benchmark.specification import CostSettings


class MeasuredOn(TypedDict):
    """Under which conditions costs were measured; costs of others do not compare.

    Attributes:
        clip: Which was predicted.
        height: Rows of its frames.
        width: Columns.
        context_frames: Known frames.
        horizon: Predicted frames.
        device: Such as "cpu".
        processor: Its name.
        threads: That compute.
        torch: PyTorch's version.
    """

    clip: str
    height: int
    width: int
    context_frames: int
    horizon: int
    device: str
    processor: str
    threads: int
    torch: str


class Cost(TypedDict):
    """What a row costs.

    Attributes:
        parameters: Numbers that are trained or kept.
        multiply_adds: For each predicted frame, of matrix products and convolutions as PyTorch
            counts them; None when they cannot be counted.
        frames_per_second: Predicted frames of one clip at a time, median of the turns.
        peak_memory: Bytes: on the CPU of the whole process, Python and libraries included, while it
            predicts; on CUDA what PyTorch allocated.
        own_memory: Bytes of it that the network takes, its weights included: on the CPU what came
            on top of Python and libraries; where that is not known, all.
        turns: Predictions that were timed.
        kernels: How convolutions were computed.
        measured_on: Under which conditions.
    """

    parameters: int
    multiply_adds: int | None
    frames_per_second: float
    peak_memory: int
    own_memory: int
    turns: int
    kernels: str | None
    measured_on: MeasuredOn


class Costing(TypedDict):
    """A row's cost, or why there is none.

    Attributes:
        cost: None when it could not be measured.
        problem: Then, why.
        request: What was asked for.
    """

    cost: Cost | None
    problem: str
    request: "CostRequest"


class CostRequest(TypedDict):
    """What a process measures.

    Attributes:
        method: {"baseline": name} or {"saved": path, "sha256": of the file}.
        protocol: Name or path.
        root: Folder of its videos.
        device: Where.
        seconds: See `CostSettings`.
        modules: Where classes of networks may be.
        threads: That compute.
    """

    method: dict[str, str]
    protocol: str
    root: str
    device: str
    seconds: float
    modules: list[str]
    threads: int


def measure_cost(request: CostRequest, settings: "CostSettings", kept: Path) -> Costing:
    """Measure a row in a process of its own, or read what was measured before.

    Args:
        request: What to measure.
        settings: How long it may take.
        kept: File of the answer, which is read when it holds the answer to this request.

    Returns:
        The cost; of a row that fails or is too slow the reason, which is tried again next time.
    """
    if (before := _before(kept)) and before["request"] == request and before["cost"]:
        return before
    cost, problem = _measured(request, settings)
    answer: Costing = {"cost": cost, "problem": problem, "request": request}
    write_json(kept, answer)
    return answer


def _measured(request: CostRequest, settings: "CostSettings") -> tuple[Cost | None, str]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "vidpred.benchmark.cost_process"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=float(settings.longest),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"took more than {settings.longest:g} s"
    if done.returncode:
        return None, _last_line(done.stderr) or f"exit status {done.returncode}"
    cost: Cost = json.loads(_last_line(done.stdout))
    return cost, ""


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else ""


def _before(kept: Path) -> Costing | None:
    try:
        content: Any = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not content.keys() >= {"cost", "request"}:
        return None
    found: Costing = content  # type: ignore[assignment]  # as we wrote it
    return found
