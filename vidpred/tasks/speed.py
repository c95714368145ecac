"""How fast a step is computed: options that change no result beyond rounding."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vidpred import kernels
from vidpred.errors import SettingError
from vidpred.kernels.channels_last import to_channels_last

CompileMode = Literal["off", "default", "reduce-overhead", "max-autotune"]

_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "32", "bf16", "16")
"""Of the trainer, with its short names: weights stay in float32."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How training is computed; None is the fastest safe choice for the device at hand.

    Half precision is the trainer's own option (`trainer.precision`); the losses are computed in
    float32 under all of them. VIDPRED_KERNELS=0 in the environment turns `winograd`,
    `native_kernels` and `keep_freed_memory` off.

    Attributes:
        channels_last: Keep weights and feature maps with the channels innermost, as tensor cores
            and oneDNN want them. None: on CPU and CUDA.
        compile: `torch.compile` of the networks, not of the task; tasks whose networks draw at
            random refuse it; `reduce-overhead` also
            replays them as CUDA graphs, which pays where kernels are short: narrow networks, small
            batches. None: `off`, until it has been measured on a GPU; on a CPU the convolutions
            that take the time are the same, and the compilation takes a minute.
        winograd: Compute wide convolutions by `vidpred.kernels`, with a fraction of the
            products, where nothing is compiled. In training it keeps the transformed inputs: 2
            (3 x 3), 4 (5 x 5) or 12 (7 x 7) times a layer's input. None: on the CPU, the only
            device that it serves.
        native_kernels: Let the system's C compiler build Winograd's transforms for this processor,
            once, a second or two for each size of kernel; without one they are matrix products,
            which take about twice the time. None: on the CPU.
        fused_optimizers: One kernel for all weights, for torch's own optimizers that have it. None:
            on CPU and CUDA.
        keep_freed_memory: Keep memory for the next layer instead of giving it to the system and
            having it zeroed again. It holds for the whole process, so `vidpred fit` does it, not
            the task; in Python call `vidpred.kernels.keep_freed_memory`. None: on the CPU.
        late_finite_check: Read a batch late whether the loss was finite, so that the device never
            waits; see `FiniteCheck`. None: on CUDA.
    """

    channels_last: bool | None = None
    compile: CompileMode | None = None
    winograd: bool | None = None
    native_kernels: bool | None = None
    fused_optimizers: bool | None = None
    keep_freed_memory: bool | None = None
    late_finite_check: bool | None = None

    def __post_init__(self) -> None:
        if self.compile is not None and self.compile not in get_args(CompileMode):
            raise ValueError(
                f"compile is {self.compile!r}; expected one of {', '.join(get_args(CompileMode))}"
            )

    def on(self, device: torch.device) -> "Decided":
        """Decide every None for a device.

        Raises:
            ValueError: When the device does not have what is asked for.
        """
        cuda = device.type == "cuda"
        if self.compile == "reduce-overhead" and not cuda:
            raise SettingError(
                f"speed.compile is reduce-overhead, but CUDA graphs do not run on {device.type}; "
                "expected default or off"
            )
        known = device.type in ("cpu", "cuda")
        fast = kernels.enabled(default=True)
        cpu = device.type == "cpu"
        return Decided(
            channels_last=_first(self.channels_last, known),
            compile=self.compile or "off",
            winograd=fast and _first(self.winograd, cpu),
            native_kernels=fast and _first(self.native_kernels, cpu),
            fused_optimizers=_first(self.fused_optimizers, known),
            keep_freed_memory=fast and _first(self.keep_freed_memory, cpu),
            late_finite_check=_first(self.late_finite_check, cuda),
        )


class Decided(NamedTuple):
    """The options of `Speed` on a device."""

    channels_last: bool
    compile: CompileMode
    winograd: bool
    native_kernels: bool
    fused_optimizers: bool
    keep_freed_memory: bool
    late_finite_check: bool


def _first(given: bool | None, choice: bool) -> bool:
    return choice if given is None else given


def default_precision(accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    """Give the precision of a fit whose configuration names none.

    Autocast to bfloat16 on GPUs that compute in it (compute capability 8.0, Ampere, and later), as
    its range is float32's and no gradient has to be scaled; float32 elsewhere.

    Args:
        accelerator: As the trainer takes it: "auto", "gpu", "cuda", "cpu" and so on.
    """
    gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if gpu and torch.cuda.get_device_capability() >= (8, 0) else "32-true"


def require_precision(precision: str | int | None) -> None:
    """Refuse a precision other than float32 of the weights; some values are float32 by design.

    Args:
        precision: As the trainer takes it.

    Raises:
        SettingError: For `64-true`, `16-true`, `bf16-true` and those of Transformer Engine.
    """
    if precision is not None and str(precision) not in _PRECISIONS:
        raise SettingError(
            f"trainer.precision is {precision}, which converts the weights; expected 32-true, "
            "bf16-mixed or 16-mixed"
        )


class CompiledFunctions:
    """Networks and functions of networks, each compiled when it is first asked for.

    Args:
        mode: Of `torch.compile`; with `off` everything is given as it is.
    """

    def __init__(self, mode: CompileMode) -> None:
        self._mode = mode
        self._known: dict[Callable[..., Any], Callable[..., Any]] = {}

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the same function, compiled.

        Args:
            function: A network or a method of one, which draws nothing at random: compiled code
                would draw other numbers.
        """
        if self._mode == "off":
            return function
        if function not in self._known:
            self._known[function] = self._compile(
                function.forward if isinstance(function, nn.Module) else function
            )
        return self._known[function]

    def _compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        fast = torch.compile(function, mode=None if self._mode == "default" else self._mode)
        if self._mode == "default":
            return fast
        # A CUDA graph writes its next outputs over these, which phases and watchers still hold.
        return lambda *arguments, **options: _copied(fast(*arguments, **options))


def _copied(value: Any) -> Any:
    """Copy the tensors of tensors, sequences (as lists) and mappings."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        return {name: _copied(inner) for name, inner in value.items()}
    return [_copied(inner) for inner in value]


def prepare(network: nn.Module, speed: Decided) -> None:
    """Bring a network into the form that is wanted, in place; its state's names stay."""
    if speed.channels_last:
        to_channels_last(network)
    if speed.winograd and speed.compile == "off":
        kernels.accelerate(network, native=speed.native_kernels)
    else:
        kernels.restore(network)


def fused(optimizer: Optimizer) -> Optimizer:
    """Give the optimizer in its fused form, or itself where it has none or another was asked for.

    Args:
        optimizer: Freshly built.
    """
    options = optimizer.defaults
    if not type(optimizer).__module__.startswith("torch.optim") or "fused" not in options:
        return optimizer
    if options["fused"] is not None or options["foreach"] or options["differentiable"]:
        return optimizer
    groups = [{**group, "fused": True} for group in optimizer.param_groups]
    known = inspect.signature(type(optimizer)).parameters
    kept = {name: value for name, value in options.items() if name in known}
    return type(optimizer)(groups, **{**kept, "fused": True})


def lay_out_alike(optimizers: Sequence[Optimizer]) -> None:
    """Give the state of every weight the weight's own memory format.

    Fused kernels go through weight and state in the order of the memory, and a checkpoint may come
    from another format.
    """
    for optimizer in optimizers:
        for weight, state in optimizer.state.items():
            for name, value in state.items():
                like = isinstance(value, Tensor) and value.shape == weight.shape
                if like and value.stride() != weight.stride():
                    state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
