"""Every start of every format gives the frames of decoding in order, to the bit."""

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.stream import Disposition
from encoded_videos import (
    KINDS,
    Kind,
    add_video,
    decode_in_order,
    moving_texture,
    put,
    put_sound,
    write,
)

from vidpred.errors import VideoError
from vidpred.video import VideoInfo, check_clip, count_frames, decode_clips, probe, read_clip_array

H264 = Kind("h264.mp4", "libx264", options={"bf": "3", "g": "8", "threads": "1"})


@pytest.fixture
def count_fallbacks(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Says how often a seek did not fit, so that reading began anew."""
    caplog.set_level(logging.DEBUG, logger="vidpred.video.frames")
    return lambda: len(caplog.records)


def require_all_starts(
    path: Path, expected: npt.NDArray[np.uint8], length: int = 3, step: int = 2
) -> VideoInfo:
    info = probe(path)
    # No frame can be taken for another.
    assert len({hash(frame.tobytes()) for frame in expected}) == len(expected)
    for start in range(len(expected) - (length - 1) * step):
        clip = read_clip_array(path, start, length, step, info=info)
        assert np.array_equal(clip, expected[start : start + (length - 1) * step + 1 : step]), start
    # Several in one pass, near and far from each other, some of them twice.
    rng = np.random.default_rng(0)
    possible = len(expected) - (length - 1) * step
    for given in (info, info, info, None):
        starts = np.sort(rng.integers(possible, size=rng.integers(2, 6))).tolist()
        clips = decode_clips(path, starts, length, step, info=given)
        for start, clip in zip(starts, clips, strict=True):
            for k in range(length):
                assert np.array_equal(clip.frame(k), expected[start + k * step]), starts
    assert np.array_equal(read_clip_array(path, len(expected) - 1, 1, info=info)[0], expected[-1])
    for given in (info, None):
        with pytest.raises(VideoError, match=f"it has {len(expected)} frames"):
            read_clip_array(path, len(expected) - 1, 2, info=given)
    assert count_frames(path) == len(expected)
    return info


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_start_of_every_format(
    tmp_path: Path, kind: Kind, count_fallbacks: Callable[[], int]
) -> None:
    path = write(tmp_path, kind)
    expected = decode_in_order(path)
    info = require_all_starts(path, expected)
    assert (info.num_frames, info.height, info.width) == (len(expected), *expected.shape[1:3])
    assert (info.rotation, info.mirrored) == (0, False)
    assert (info.pts is not None) is kind.seeks
    assert (count_fallbacks() > 0) is kind.falls_back
    if kind.name != "gif.gif":  # one key frame, at the beginning
        assert len(info.key_frames) > 3
    assert VideoInfo.from_plain(path, info.to_plain()) == info


def test_a_variable_frame_rate_is_read_frame_by_frame(
    tmp_path: Path, count_fallbacks: Callable[[], int]
) -> None:
    times = np.cumsum(np.random.default_rng(1).integers(10, 90, 40)).tolist()
    for name in ("h264.mp4", "h264.mkv"):
        path = write(tmp_path, Kind(name, "libx264", options=H264.options), times=times)
        info = require_all_starts(path, decode_in_order(path))
        assert len(set(np.diff(info.pts).tolist())) > 10
    assert count_fallbacks() == 0


def test_time_that_does_not_begin_at_zero(tmp_path: Path) -> None:
    for name in ("h264.mkv", "h264.ts"):
        kind = Kind(name, "libx264", options=H264.options)
        path = write(tmp_path, kind, times=range(100_000, 101_600, 40))
        info = require_all_starts(path, decode_in_order(path))
        assert info.pts is not None
        assert info.pts[0] > 0


def cut(source: Path, target: Path, first: int) -> None:
    """Keep the packets and hide the first frames by an edit list, as cutting without encoding."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue  # the empty packet at the end
            packet.stream = stream
            shift = round(Fraction(first, 25) / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            part.mux(packet)


@pytest.mark.parametrize("first", [3, 12])
def test_frames_that_an_edit_list_hides_do_not_count(tmp_path: Path, first: int) -> None:
    whole = write(tmp_path, H264)
    path = tmp_path / "cut.mp4"
    cut(whole, path, first)
    expected = decode_in_order(path)
    assert np.array_equal(expected, decode_in_order(whole)[first:])
    require_all_starts(path, expected)


def test_frames_that_lean_on_what_was_cut_away_are_no_frames(
    tmp_path: Path, count_fallbacks: Callable[[], int]
) -> None:
    kind = next(kind for kind in KINDS if kind.name == "open_gop.mp4")
    whole, path = write(tmp_path, kind), tmp_path / "late.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        second_key = [packet.is_keyframe for packet in packets].index(True, 1)
        kept = packets[second_key:]
        assert min(packet.pts for packet in kept) < kept[0].pts  # the pictures in question
        for packet in kept:
            packet.stream = stream
            target.mux(packet)
    expected = decode_in_order(path)
    assert len(expected) < len(kept)
    require_all_starts(path, expected)
    assert count_fallbacks() == 0  # such a file is never sought in


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("counterclockwise", [0, 90, 180, 270])
def test_phone_videos_come_upright(tmp_path: Path, counterclockwise: int, mirrored: bool) -> None:
    whole, path = write(tmp_path, H264, count=20), tmp_path / "phone.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(counterclockwise, hflip=mirrored)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    # NumPy turns counter-clockwise too; FFmpeg mirrors after it has turned.
    expected = np.rot90(decode_in_order(whole), counterclockwise // 90, axes=(1, 2))
    if mirrored:
        expected = expected[:, :, ::-1]
    info = require_all_starts(path, expected)
    assert (info.height, info.width) == expected.shape[1:3]
    assert (info.rotation, info.mirrored) == (-counterclockwise % 360, mirrored)
    assert check_clip(path, 3, 2) == (info.height, info.width)


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.ts"])
@pytest.mark.parametrize("sound_first", [False, True])
def test_sound_beside_the_pictures_changes_nothing(
    tmp_path: Path, name: str, sound_first: bool
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        if sound_first:
            sound = container.add_stream("aac", rate=16000)
        stream = add_video(container, H264)
        if not sound_first:
            sound = container.add_stream("aac", rate=16000)
        put_sound(container, sound)
        put(container, stream, moving_texture(40))
    expected = decode_in_order(path)
    assert len(expected) == 40
    require_all_starts(path, expected)


def test_the_default_one_of_several_streams_is_read(tmp_path: Path) -> None:
    path = tmp_path / "several.mkv"
    with av.open(str(path), "w") as container:
        streams = [add_video(container, H264) for _ in range(3)]
        streams[0].disposition = Disposition(0)
        streams[1].disposition = Disposition.default
        streams[2].disposition = Disposition(0)
        for index, stream in enumerate(streams):
            put(container, stream, moving_texture(40)[10 * index :])
    assert len(decode_in_order(path, stream=0)) == 40
    require_all_starts(path, decode_in_order(path, stream=1))


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "cover.mp4"
    cover = Kind("cover", "mjpeg", "yuvj420p")
    with av.open(str(path), "w") as container:
        picture = add_video(container, cover, 32, 32)
        picture.disposition = Disposition.attached_pic
        stream = add_video(container, H264)
        put(container, picture, moving_texture(1, 32, 32))
        put(container, stream, moving_texture(40))
    with av.open(str(path)) as container:
        pictures = [bool(s.disposition & Disposition.attached_pic) for s in container.streams.video]
    assert sorted(pictures) == [False, True]
    require_all_starts(path, decode_in_order(path, stream=pictures.index(False)))


def test_far_into_a_file_an_index_is_made_on_the_way(tmp_path: Path) -> None:
    path = write(tmp_path, H264, count=200)
    expected = decode_in_order(path)
    for start in range(95, 198, 9):
        assert np.array_equal(read_clip_array(path, start, 2), expected[start : start + 2])


def test_starts_have_to_ascend(tmp_path: Path) -> None:
    path = write(tmp_path, H264, count=4)
    with pytest.raises(ValueError, match=r"starts are \[2, 0\]; expected ascending ones"):
        next(decode_clips(path, [2, 0], 1))
    clips = decode_clips(path, [0, 3], 2)
    assert len(next(clips)) == 2
    with pytest.raises(VideoError, match="it has 4 frames, and frames 0 to 4 were asked for"):
        next(clips)


def test_nothing_stays_open(tmp_path: Path) -> None:
    opened = Path("/proc/self/fd")
    if not opened.is_dir():
        pytest.skip("this system does not list open files")
    path = write(tmp_path, H264)
    cut_short = tmp_path / "cut.mp4"
    cut_short.write_bytes(path.read_bytes()[:-400])
    info, before = probe(path), len(list(opened.iterdir()))
    kept = []
    for start in range(30):
        kept.append(read_clip_array(path, start, 2, info=info))
        for broken in (
            lambda start=start: read_clip_array(path, start, 60),
            lambda: probe(cut_short),
        ):
            with pytest.raises(VideoError):
                broken()
    assert len(list(opened.iterdir())) <= before  # what others left may close meanwhile


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_four_k(tmp_path: Path, codec: str) -> None:
    options = {"preset": "ultrafast", "g": "4", "x265-params": "log-level=none:keyint=4"}
    kind = Kind("large.mp4", codec, options=options)
    path = write(tmp_path, kind, count=8, height=2160, width=3840)
    info = require_all_starts(path, decode_in_order(path), step=1)
    assert (info.height, info.width) == (2160, 3840)


@pytest.mark.slow
@pytest.mark.parametrize("with_info", [False, True])
def test_every_start_of_twenty_real_clips(
    real_data: Path, with_info: bool, count_fallbacks: Callable[[], int]
) -> None:
    root = real_data / "ucf101" / "UCF-101"
    # Short ones of many classes: the time grows with the square of the length.
    paths = sorted(root.glob("*/*.avi"), key=lambda path: path.stat().st_size)[:95:5]
    paths += [root / "Archery/v_Archery_g22_c05.avi", root / "Kayaking/v_Kayaking_g12_c03.avi"]
    assert len(paths) >= 20
    for path in paths:
        expected = decode_in_order(path)
        info = probe(path) if with_info else None
        for start in range(len(expected) - 4):
            clip = read_clip_array(path, start, 5, info=info)
            assert np.array_equal(clip, expected[start : start + 5]), (path, start)
        starts = list(range(0, len(expected) - 4, 3))
        clips = decode_clips(path, starts, 5, info=info)
        for start, frames in zip(starts, clips, strict=True):
            assert np.array_equal(
                frames.patches([(0, 0)], 240), expected[None, start : start + 5, :, :240]
            )
    assert count_fallbacks() == 0


@pytest.mark.slow
def test_starts_of_all_packed_real_clips(
    real_data: Path, count_fallbacks: Callable[[], int]
) -> None:
    root = real_data / "ucf101" / "UCF-101"
    packed = {path: info for path in root.glob("*/*.avi") if (info := probe(path)).clock == "dts"}
    assert len(packed) >= 37
    for number, (path, info) in enumerate(sorted(packed.items(), key=str)[:: len(packed) // 37]):
        expected = decode_in_order(path)
        assert info.num_frames == len(expected)
        # Every start of some, every fifth of the others, which begin at different ones.
        starts = range(number % 5, len(expected) - 4, 1 if number % 12 == 0 else 5)
        for start in starts:
            clip = read_clip_array(path, start, 5, info=info)
            assert np.array_equal(clip, expected[start : start + 5]), (path, start)
    assert count_fallbacks() == 0
