"""Whether the workers of a loader grow."""

import multiprocessing
from pathlib import Path

import numpy as np
from scipy import stats

from vidpred.data import UCF101DataModule

BATCH = 16


def memory(root: Path, clips: int, workers: int) -> None:
    """Draw many clips in real workers and see whether these grow.

    Within a block of videos memory goes up and down, so that many points are taken, at random, and
    the slope is the median of those between all pairs (Theil and Sen).
    """
    print(f"memory of a worker over {clips} clips, MiB (mean of {workers})")
    print("   clips   resident   its share (PSS)   its own (private)")
    data = UCF101DataModule(root, batch_size=BATCH, num_workers=workers, seed=1)
    data.setup("fit")
    loader = data.train_dataloader()
    loader.num_batches = loader.sampler.num_batches = 10**9  # type: ignore[attr-defined]
    rounds, points = clips * data.patches_per_clip // BATCH, 200
    rng = np.random.default_rng(0)
    chosen = set(rng.choice(rounds, points, replace=False).tolist())
    found: list[tuple[float, ...]] = []
    batches = iter(loader)
    for number in range(rounds):
        next(batches)
        if number in chosen:
            pids = [child.pid for child in multiprocessing.active_children() if child.pid]
            now = np.mean([_memory_of(pid) for pid in pids[:workers]], axis=0)
            found.append(((number + 1) * BATCH / data.patches_per_clip, *now))
            if len(found) % (points // 10) == 0:
                print("  {:6.0f} {:10.1f} {:17.1f} {:19.1f}".format(*found[-1]), flush=True)
    later = np.array(found[points // 10 :])  # caches fill first
    for name, column in (("resident", 1), ("its own", 3)):
        slope = stats.theilslopes(later[:, column], later[:, 0])
        middle, low, high = (10_000 * value for value in (slope[0], slope[2], slope[3]))
        print(f"  {name}: {middle:+.2f} MiB per 10,000 clips ({low:+.2f} to {high:+.2f})")
    print()


def _memory_of(pid: int) -> tuple[float, float, float]:
    """Give resident, proportional and private memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (r.partition(":") for r in lines)}
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024, private / 1024
