from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from encoded_videos import KINDS, Kind, flip_bits, moving_texture, write
from PIL import Image

from vidpred.errors import VideoError
from vidpred.video import read_clip_array, write_video
from vidpred.video.playing import last_moment, play, time_of_frame

COUNT = 40


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_from_anywhere_the_frames_are_those_from_the_beginning(kind: Kind, tmp_path: Path) -> None:
    path = write(tmp_path, kind, COUNT)
    whole = list(play(path))
    assert len(whole) == COUNT
    assert np.array_equal(
        np.stack([frame.pixels for frame in whole]), read_clip_array(path, 0, COUNT)
    )
    times = [frame.time for frame in whole]
    assert times == sorted(set(times))
    assert [float(time) for time in times] == pytest.approx(
        [k / 25 for k in range(COUNT)], abs=2e-3
    )
    for start in (Fraction(1, 2), Fraction(1), Fraction(3, 2)):
        part = list(play(path, start))
        assert part
        for frame, expected in zip(part, whole[-len(part) :], strict=True):
            assert frame.sound
            # Milliseconds of Matroska: after a seek the same, to the rounding.
            assert float(frame.time) == pytest.approx(float(expected.time), abs=2e-3)
            assert np.array_equal(frame.pixels, expected.pixels)
    if kind.seeks and kind.name.endswith((".mp4", ".mkv", ".webm")) and not kind.falls_back:
        assert len(list(play(path, Fraction(1, 2)))) < COUNT  # it did seek
    assert last_moment(path) == pytest.approx(COUNT / 25, abs=0.2)


def test_the_time_of_a_frame_is_that_at_which_it_plays(tmp_path: Path) -> None:
    path = write(tmp_path, KINDS[0], COUNT)
    times = [frame.time for frame in play(path)]
    assert [time_of_frame(path, index) for index in range(COUNT)] == times
    with pytest.raises(VideoError, match="frame 40 is past the end; it has 40 frames, 0 to 39"):
        time_of_frame(path, COUNT)


def test_a_folder_plays_at_the_rate_that_is_given(tmp_path: Path) -> None:
    for index, frame in enumerate(moving_texture(12)):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    frames = list(play(tmp_path, fps=Fraction(10)))
    assert [frame.time for frame in frames] == [Fraction(k, 10) for k in range(12)]
    assert frames[0].look.fps == 10
    assert next(play(tmp_path, Fraction(1), fps=Fraction(10))).time == 1
    Image.new("RGB", (8, 8)).save(tmp_path / "12.png")
    with pytest.raises(VideoError, match=r"the frame size changes at 12\.png"):
        list(play(tmp_path))


def test_damage_is_told_and_playing_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "bits.avi"
    # Key frames at 0, 12 and 24, by the encoder's default group of 12.
    write_video(path, torch.randint(0, 256, (30, 3, 64, 64), dtype=torch.uint8))
    flip_bits(path, frame=5)
    damaged = [index for index, frame in enumerate(play(path)) if not frame.sound]
    assert damaged == list(range(5, 12))


@pytest.mark.parametrize("content", [b"", b"only words\n" * 50])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "words.mp4"
    path.write_bytes(content)
    for start in (Fraction(0), Fraction(3)):
        with pytest.raises(VideoError, match=r"words\.mp4"):
            list(play(path, start))
