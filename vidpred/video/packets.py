"""Whether the time stamps of a file's packets give the place of every frame.

A seek may only be trusted when each packet becomes exactly one frame, shown at the packet's own
time. Where that is in doubt the answer is no, and reading decodes from the beginning: slow is
better than wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import av
from av.container import InputContainer

_VOP = b"\x00\x00\x01\xb6"
_VOP_B = 2
_NOT_CODED_BYTES = 8
"""A picture of MPEG-4 that is marked as not coded fits into these; hardly another one does."""


@dataclass
class PacketFacts:
    """What one pass over the packets gathers, by packet, without those that hold no data.

    Attributes:
        pts: When its frame is shown.
        dts: When it is decoded.
        keys: Numbers of the packets from which decoding can begin.
        hidden: Numbers of those that an edit list keeps from being shown.
        doubtful: Whether a packet was met that may be no frame, or more than one.
        reordered: Whether one was met that is shown before another which comes first.
        packed: Whether two pictures were met in one packet, the second of which takes the place of
            one that is not coded and follows.
        waiting: Whether such a second picture has not met its place yet.
        unshown: Packets of which no picture is shown.
    """

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    doubtful: bool = False
    reordered: bool = False
    packed: bool = False
    waiting: bool = False
    unshown: int = 0

    def add(self, packet: "av.Packet[av.VideoStream]", look_into: "LookInto | None", /) -> None:
        """Note one packet."""
        if packet.is_keyframe:
            self.keys.append(len(self.pts))
        if packet.is_discard:
            self.hidden.add(len(self.pts))
        self.pts.append(packet.pts)
        self.dts.append(packet.dts)
        if look_into is not None:
            look_into(self, packet)


LookInto = Callable[[PacketFacts, "av.Packet[av.VideoStream]"], None]


def _look_into_mpeg4(facts: PacketFacts, packet: "av.Packet[av.VideoStream]") -> None:
    """Find two pictures in one packet (packed B-frames), or one that is not coded.

    FFmpeg hands the second picture of a packet to the decoder when the next packet comes, which
    waits in turn when it is coded, until one that is not coded gives way. So each packet represents
    one picture again.
    """
    data = bytes(packet)
    at = data.find(_VOP)
    second = data.find(_VOP, at + 4)
    if at < 0 or (second >= 0 and data.find(_VOP, second + 4) >= 0):
        facts.doubtful = True
        return
    is_b = data[(at if second < 0 else second) + 4] >> 6 == _VOP_B
    if second >= 0:
        facts.doubtful |= facts.waiting or not is_b
        facts.packed = facts.waiting = True
    elif len(data) - at <= _NOT_CODED_BYTES:
        facts.doubtful |= not facts.waiting
        facts.unshown += not facts.waiting
        facts.waiting = False
    else:
        facts.doubtful |= facts.waiting and not is_b
    facts.reordered |= is_b


def _look_into_vp8(facts: PacketFacts, packet: "av.Packet[av.VideoStream]") -> None:
    """Find a picture that is only there to be predicted from."""
    shown = memoryview(packet)[0] & 0x10
    facts.doubtful |= not shown
    facts.unshown += not shown


def _look_into_vp9(facts: PacketFacts, packet: "av.Packet[av.VideoStream]") -> None:
    """Find a picture that is only there to be predicted from, outside of a superframe."""
    data = memoryview(packet)
    first, superframe = data[0], data[-1] & 0xE0 == 0xC0
    # Marker 10, two bits of profile (3 has one more), show_existing_frame, frame_type, show_frame.
    profile_3 = (first & 0x30) == 0x30
    show_existing = first & (0x04 if profile_3 else 0x08)
    shown = first & (0x01 if profile_3 else 0x02)
    hidden = not (superframe or show_existing or shown)
    facts.doubtful |= first >> 6 != 2 or hidden
    facts.unshown += hidden


def _nothing(facts: PacketFacts, packet: "av.Packet[av.VideoStream]") -> None:
    """Take a packet for one picture."""


# Codecs whose packets are one shown picture each.
# fmt: off
_PLAIN = (
    "h264", "hevc", "libdav1d", "av1", "mpeg1video", "mpeg2video", "mjpeg", "png", "gif", "ffv1",
    "huffyuv", "ffvhuff", "utvideo", "rawvideo", "prores", "dnxhd",
)
# fmt: on
# These have to be looked into for it. Any other codec is decoded from the beginning.
_CODECS: dict[str, LookInto] = {
    **dict.fromkeys(_PLAIN, _nothing),
    "mpeg4": _look_into_mpeg4,
    "vp8": _look_into_vp8,
    "vp9": _look_into_vp9,
}
_STORE_NO_PTS = frozenset({"avi"})
_STAMP_SOME = frozenset({"mpeg"})
_REORDERING = frozenset({"h264", "hevc"})
_PROGRESSIVE = 1  # AVFieldOrder; 0 is unknown, what is above has two fields a picture


def look_into(codec: str) -> LookInto | None:
    """Give what has to be asked of every packet of a codec; None when it cannot be trusted."""
    return _CODECS.get(codec)


def stores_display_times(container: InputContainer, stream: av.VideoStream) -> bool:
    """Say whether every frame's time stamp can be the time at which it is shown."""
    name, context = container.format.name, stream.codec_context
    counting = name in _STORE_NO_PTS and (context.name in _REORDERING or context.has_b_frames)
    return not counting and name not in _STAMP_SOME


def display_times(
    facts: PacketFacts, *, container: str, codec: str, field_order: int, has_b_frames: bool
) -> list[int] | None:
    """Give the time stamps of the frames in the order in which they are shown.

    Args:
        facts: Of all packets.
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the decoder.
        field_order: FFmpeg's number for interlaced pictures.
        has_b_frames: Whether the decoder waits before it shows a frame.

    Returns:
        Ascending, one for each frame that is shown; None when they cannot be trusted.
    """
    if codec not in _CODECS or facts.doubtful or facts.packed or field_order > _PROGRESSIVE:
        return None
    if container in _STORE_NO_PTS and (
        # Such a container only counts packets, so shown order has to be decoding order.
        codec in _REORDERING or has_b_frames or facts.reordered or facts.pts != facts.dts
    ):
        return None
    shown = [pts for number, pts in enumerate(facts.pts) if number not in facts.hidden]
    stamps = [pts for pts in shown if pts is not None]
    if len(stamps) < len(shown) or len(set(stamps)) < len(stamps) or not facts.keys:
        return None
    # A decoder drops frames that are shown before the first key frame: they reference what was cut.
    first = facts.pts[0]
    if facts.keys[0] != 0 or first is None or (stamps and min(stamps) < first):
        return None
    return sorted(stamps)


def decoding_times(facts: PacketFacts, *, container: str, field_order: int) -> list[int] | None:
    """Give the times of decoding at which packed B-frames and those between them are shown.

    Their container only counts packets, and their decoder shows one frame a packet, one later.

    Args:
        facts: Of all packets.
        container: FFmpeg's name of the format.
        field_order: FFmpeg's number for interlaced pictures.

    Returns:
        Ascending, one for each frame; None when they cannot be trusted.
    """
    count = len(facts.dts)
    if (
        not facts.packed
        or facts.doubtful
        or facts.hidden
        or field_order > _PROGRESSIVE
        or container not in _STORE_NO_PTS
        or facts.dts != list(range(count))
    ):
        return None
    return list(range(1, count + 1))
