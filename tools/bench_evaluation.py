"""Time the whole `mathieu2016-ucf101` evaluation but for the network: 379 clips of 240 x 320.

    python tools/bench_evaluation.py --root data/ucf101

Decoding, optical flow, masks and all measures of the protocol, for copy-last, which costs nothing.
Where a part of UCF101 alone is on the disk, its test videos replace the missing ones (as
links), so that the amount of work is that of the whole list.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from vidpred.data.ucf101_lists import read_list
from vidpred.evaluation import evaluate, load_protocol
from vidpred.evaluation.scoring.methods import baselines
from vidpred.evaluation.scoring.scoring_pass import measured_by
from vidpred.evaluation.sources.video_clips import VideoClips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="UCF101, or a part of it")
    parser.add_argument("--workers", type=int, default=2, help="threads that read ahead")
    parser.add_argument("--device", default="cpu", help="of the metrics")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions; the median counts")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    protocol = load_protocol("mathieu2016-ucf101")
    origin = measured_by(device)
    print(f"date {origin['date']}, commit {origin['commit']}, versions {origin['versions']}")
    print(f"device {origin['device_name'] or device}, {origin['threads']} threads of torch")
    seconds = []
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "ucf101"
        _stand_in(arguments.root.resolve(), root)
        for number in range(arguments.rounds):
            source = VideoClips(protocol.protocol, root)
            begin = time.perf_counter()
            (result,) = evaluate(
                protocol,
                source,
                baselines(device, 4)[:1],
                Path(scratch) / f"results{number}",
                device=device,
                workers=arguments.workers,
            )
            seconds.append(time.perf_counter() - begin)
            clips = result["clips"]["clips_scored"]
            print(f"round {number + 1}: {clips} clips, {seconds[-1]:.1f} s")
    median = sorted(seconds)[len(seconds) // 2]
    print(f"median {median:.1f} s (target: below 60 s on two cores)")


def _stand_in(part: Path, whole: Path) -> None:
    """Make the videos of the list out of those that there are."""
    rows = read_list(part / "ucfTrainTestlist" / "testlist01.txt")
    there = [row for row in rows if (part / "UCF-101" / row).is_file()]
    (whole / "UCF-101").mkdir(parents=True)
    (whole / "ucfTrainTestlist").symlink_to(part / "ucfTrainTestlist")
    for number, row in enumerate(rows[::10]):
        link = whole / "UCF-101" / row
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(part / "UCF-101" / there[number % len(there)])


if __name__ == "__main__":
    main()
