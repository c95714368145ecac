"""Two thousand broken files: each decodes or is refused; none crashes or hangs the process."""

import multiprocessing
import queue
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from encoded_videos import KINDS, write

from vidpred.errors import VideoError

MUTATIONS = 2000
PROCESSES = 2
SECONDS = 10
NAMES = ("b_frames.mp4", "hevc.mp4", "vp9.webm", "mpeg4_b.avi", "mpeg2.ts", "gif.gif", "ffv1.avi")


def mutate(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits, cut, splice with another file, repeat or overwrite a part."""
    changed = np.frombuffer(data, np.uint8).copy()
    size = len(changed)
    first, last = sorted(rng.integers(0, size + 1, 2))
    match rng.integers(6):
        case 0:
            places = rng.integers(0, size, rng.integers(1, 60))
            changed[places] ^= np.uint8(1) << rng.integers(0, 8, len(places)).astype(np.uint8)
        case 1:
            return data[:last]
        case 2:
            return data[:first] + data[last:]
        case 3:
            return data[:first] + other[int(rng.integers(len(other))) :]
        case 4:
            return data[:last] + data[first:]
        case _:  # headers, where sizes and counts stand
            places = rng.integers(0, min(size, 600), rng.integers(1, 12))
            changed[places] = rng.integers(0, 256, len(places))
    return changed.tobytes()


def read_all(numbers: range, sources: list[bytes], folder: Path, results: "queue.Queue") -> None:
    """Read every broken file in every way; runs in a process of its own."""
    from vidpred.video import check_clip, count_frames, probe, read_clip_array

    def attempt(path: Path) -> str:
        try:
            info = probe(path)
            frames = read_clip_array(path, 0, 2)
            start = max(0, info.num_frames - 3)
            late = read_clip_array(path, start, 2, info=info)
            check_clip(path, start, 2)
            count_frames(path)
        except VideoError as error:
            return "refused" if error.path == path else f"another path: {error}"
        # The size may change on the way, and only within a clip that is refused.
        return "decoded" if len(frames) == len(late) == 2 else "another length"

    for number in numbers:
        rng = np.random.default_rng((7, number))
        path = folder / f"{number}.bin"
        path.write_bytes(mutate(sources[number % len(sources)], rng.choice(sources), rng))
        results.put((number, "begun"))
        try:
            results.put((number, attempt(path)))
        except BaseException as error:
            results.put((number, f"{type(error).__name__}: {error}"))
        path.unlink()


def run(sources: list[bytes], count: int, folder: Path) -> dict[int, str]:
    """Give the fate of each file; one that was begun and never ended says "begun"."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(
            target=read_all, args=(range(part, count, PROCESSES), sources, folder, results)
        )
        for part in range(PROCESSES)
    ]
    fates: dict[int, str] = {}
    begun: dict[int, float] = {}
    for worker in workers:
        worker.start()
    try:
        while any(worker.is_alive() for worker in workers) or not results.empty():
            try:
                number, fate = results.get(timeout=0.5)
            except queue.Empty:
                hung = [number for number, when in begun.items() if time.time() - when > SECONDS]
                if hung:
                    break
                continue
            fates[number] = fate
            if fate == "begun":
                begun[number] = time.time()
            else:
                begun.pop(number)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    return fates


@pytest.mark.slow
def test_no_broken_file_crashes_or_hangs_the_process(tmp_path: Path, real_data: Path) -> None:
    chosen = [kind for kind in KINDS if kind.name in NAMES]
    assert len(chosen) == len(NAMES)
    sources = [write(tmp_path, kind, count=24).read_bytes() for kind in chosen]
    ucf101 = real_data / "ucf101" / "UCF-101"
    sources.append(min(ucf101.glob("*/*.avi"), key=lambda path: path.stat().st_size).read_bytes())
    fates = run(sources, MUTATIONS, tmp_path)
    odd = {number: fate for number, fate in fates.items() if fate not in ("decoded", "refused")}
    assert not odd, "begun: the process crashed, or it took longer than 10 s"
    assert len(fates) == MUTATIONS
    shares = Counter(fates.values())
    assert min(shares["decoded"], shares["refused"]) > MUTATIONS / 20
