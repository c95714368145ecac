"""What can be wrong with UCF101's split lists."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from vidpred.data.catalog import read_lines
from vidpred.data.doctor.findings import Finding
from vidpred.data.ucf101_lists import group_of
from vidpred.errors import DataError

OFFICIAL_VIDEOS = 13_320
OFFICIAL_CLASSES = frozenset(
    """
    ApplyEyeMakeup ApplyLipstick Archery BabyCrawling BalanceBeam BandMarching BaseballPitch
    Basketball BasketballDunk BenchPress Biking Billiards BlowDryHair BlowingCandles
    BodyWeightSquats Bowling BoxingPunchingBag BoxingSpeedBag BreastStroke BrushingTeeth
    CleanAndJerk CliffDiving CricketBowling CricketShot CuttingInKitchen Diving Drumming Fencing
    FieldHockeyPenalty FloorGymnastics FrisbeeCatch FrontCrawl GolfSwing Haircut Hammering
    HammerThrow HandstandPushups HandstandWalking HeadMassage HighJump HorseRace HorseRiding
    HulaHoop IceDancing JavelinThrow JugglingBalls JumpingJack JumpRope Kayaking Knitting LongJump
    Lunges MilitaryParade Mixing MoppingFloor Nunchucks ParallelBars PizzaTossing PlayingCello
    PlayingDaf PlayingDhol PlayingFlute PlayingGuitar PlayingPiano PlayingSitar PlayingTabla
    PlayingViolin PoleVault PommelHorse PullUps Punch PushUps Rafting RockClimbingIndoor
    RopeClimbing Rowing SalsaSpin ShavingBeard Shotput SkateBoarding Skiing Skijet SkyDiving
    SoccerJuggling SoccerPenalty StillRings SumoWrestling Surfing Swing TableTennisShot TaiChi
    TennisSwing ThrowDiscus TrampolineJumping Typing UnevenBars VolleyballSpiking WalkingWithDog
    WallPushups WritingOnBoard YoYo
    """.lower().split()
)
# Rows, and SHA-256 of the rows in lower case (copies of the lists disagree about it), without class
# numbers and joined by line feeds; of the lists that two repositories carry with equal bytes.
OFFICIAL_LISTS = {
    "trainlist01.txt": (9537, "75c038b0cb74b5cc76e716407d622eb483676699d6049afe37ffd7350ea9a8f1"),
    "trainlist02.txt": (9586, "5a11dbfddd9d60fee5f2ebe68fd0cd5e483624bf54bd26e77c6aa618f063159e"),
    "trainlist03.txt": (9624, "3348a4eed738eb1d099b6a464c7d3068b1e661973c0698c4bfa1b9fbb3b68cd4"),
    "testlist01.txt": (3783, "458e9756743de35a182c88ca31b125465512d87894caa792e2b8b17b3e45e37e"),
    "testlist02.txt": (3734, "bfa8d470aad573583516a53f24f69a68a752d3039202d4b0325fbca3fa41c792"),
    "testlist03.txt": (3696, "84c31267bba8ef90d407380ca255a3a8e9c253493c5a36c1900a08e8da2e840a"),
}
_ROW = re.compile(r"[^/\s]+/[^/\s]+\.\w+(\s+\d+)?")
_FETCH = "Fetch the lists again (`vidpred data prepare ucf101`)."


def is_ucf101(classes: Iterable[str]) -> bool:
    """Distinguish UCF101, whole or in part, from others in its layout by the names of classes."""
    names = {name.lower() for name in classes}
    return len(names & OFFICIAL_CLASSES) * 2 > len(names)


def read_lists(list_dir: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Read what can be read of the six lists.

    Returns:
        The good rows of each list that is there, without class numbers, and the faults: a line
        each.
    """
    lists: dict[str, list[str]] = {}
    faults: list[str] = []
    for name in OFFICIAL_LISTS:
        path = list_dir / name
        try:
            lines = read_lines(path)
        except FileNotFoundError:
            faults.append(f"{name}: there is no such list")
            continue
        except OSError as error:
            faults.append(f"{name}: cannot be read ({error.strerror})")
            continue
        except DataError as error:
            system = isinstance(error.__cause__, OSError)
            why = f"cannot be read ({error.__cause__})" if system else "is not UTF-8 text"
            faults.append(f"{name}: {why}")
            continue
        good = [line.split()[0] for line in lines if _ROW.fullmatch(line)]
        bad = [line for line in lines if not _ROW.fullmatch(line)]
        if bad:
            faults.append(
                f"{name}: {len(bad)} rows are not <Class>/<file>.avi, the first {bad[0]!r}"
            )
        elif not good:
            faults.append(f"{name}: is empty")
        if twice := [row for row, count in Counter(good).items() if count > 1]:
            faults.append(f"{name}: {len(twice)} rows are there more than once, as {twice[0]}")
        lists[name] = good
    return lists, faults


def examine_lists(
    lists: Mapping[str, list[str]], faults: Iterable[str], *, official: bool
) -> list[Finding]:
    """Compare the lists with each other and with the official ones.

    Args:
        lists: Rows by name of the list, from `read_lists`.
        faults: What `read_lists` found.
        official: Whether they are to be UCF101's.
    """
    found = [*faults]
    for name, rows in lists.items():
        count, digest = OFFICIAL_LISTS[name]
        if official and hashlib.sha256("\n".join(rows).lower().encode()).hexdigest() != digest:
            found.append(f"{name}: {len(rows)} good rows, not the official {count}")
    found += _disagreements(lists)
    findings = []
    if found:
        summary = "the lists are damaged or not the official ones" if official else "lists disagree"
        findings.append(Finding("lists", True, summary, tuple(found), _FETCH if official else ""))
    if crossing := _crossing(lists):
        findings.append(
            Finding(
                "groups",
                True,
                f"{len(crossing)} scenes are in train and in test of one split",
                tuple(crossing),
                "A scene's clips are nearly alike: scores come out too good. "
                + (_FETCH if official else "Put each group on one side."),
            )
        )
    return findings


def _disagreements(lists: Mapping[str, list[str]]) -> list[str]:
    """Find rows on both sides of a split, and rows that one split holds and another does not."""
    found = []
    unions: dict[int, dict[str, str]] = {}
    for split in (1, 2, 3):
        sides = [lists.get(f"{side}list0{split}.txt") for side in ("train", "test")]
        if sides[0] is None or sides[1] is None:
            continue
        train, test = ({row.lower(): row for row in side} for side in sides if side is not None)
        if both := sorted(train.keys() & test.keys()):
            found.append(f"split {split}: {len(both)} rows are in train and in test, as {both[0]}")
        unions[split] = train | test
    everything = {key: row for union in unions.values() for key, row in union.items()}
    for split, union in unions.items():
        if absent := sorted(everything.keys() - union.keys()):
            found.append(
                f"split {split}: {len(absent)} videos of the other splits are in none of its two "
                f"lists, as {everything[absent[0]]}"
            )
    return found


def _crossing(lists: Mapping[str, list[str]]) -> list[str]:
    found = []
    for split in (1, 2, 3):
        sides = []
        for side in ("train", "test"):
            rows = lists.get(f"{side}list0{split}.txt", [])
            groups = {(row.split("/")[0].lower(), group_of(row)): row for row in rows}
            sides.append({key: row for key, row in groups.items() if key[1] is not None})
        for key in sorted(sides[0].keys() & sides[1].keys(), key=str):
            found.append(f"split {split}: {sides[0][key]} and {sides[1][key]}")
    return found
