"""Shared libraries from C source, compiled once on each machine."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from vidpred.files import cache_folder, replacing

_FLAGS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
_SECONDS = 60


class CompilerError(Exception):
    """A library cannot be had here; the text says why."""


def compile_c(source: Path, numbers: Mapping[str, str]) -> ctypes.CDLL:
    """Compile a C file with GCC or Clang and load it, or load what was compiled before.

    torch's own `cpp_extension` wants ninja, and a process that is killed while it compiles leaves a
    lock at which all later ones wait indefinitely; here a file is whole or not there. The threads
    of OpenMP are those of torch, whose library of them is in the process already.

    Args:
        source: The file.
        numbers: Macros and their values.

    Raises:
        CompilerError: On other systems than Linux, without a compiler, where it fails, or where the
            cache cannot be written.
    """
    if sys.platform != "linux":
        raise CompilerError(f"C is compiled on Linux alone, and this is {sys.platform}")
    compiler = _compiler()
    command = [*compiler, *_FLAGS, *(f"-D{name}={value}" for name, value in numbers.items())]
    cached = cache_folder()
    if cached is None:
        raise CompilerError("there is no folder to keep it in; set VIDPRED_CACHE")
    folder = cached / "native"
    try:
        file = folder / f"{source.stem}-{_digest(source, command)}.so"
        return _loaded(file) or _made(file, [*command, str(source)])
    except OSError as error:
        raise CompilerError(f"{folder}: {error}") from error


def _loaded(file: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(file)) if file.exists() else None
    except OSError:
        return None  # damaged: it is made again


def _made(file: Path, command: list[str]) -> ctypes.CDLL:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        _run([*command, "-o", str(temporary)])
        with temporary.open("rb") as whole:
            os.fsync(whole.fileno())  # loading one that lost its end would kill the process
    return ctypes.CDLL(str(file))


def _compiler() -> list[str]:
    try:
        named = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise CompilerError(f"CC is {os.environ['CC']!r}: {error}") from error
    for command in (named, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    raise CompilerError("there is no C compiler (CC, cc, gcc, clang)")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CompilerError(f"{command[0]} took more than {_SECONDS} s") from error
    if done.returncode:
        raise CompilerError(f"{command[0]} ended with {done.returncode}: {done.stderr[:500]}")


def _digest(source: Path, command: list[str]) -> str:
    """Distinguish sources, commands and processors, as homes are shared by machines."""
    known = hashlib.sha256(source.read_bytes())
    for part in (*command, platform.machine(), _processor()):
        known.update(part.encode() + b"\0")
    return known.hexdigest()[:16]


def _processor() -> str:
    """Give what the processor can do."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    wanted = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.split("\t")[0].strip() in wanted}))
