"""Video files to uint8 tensors and back, by PyAV."""

from vidpred.video.clip import DecodedClip
from vidpred.video.decode import check_clip, decode_clip, decode_clips, read_clip, read_clip_array
from vidpred.video.encode import write_video
from vidpred.video.info import VideoInfo
from vidpred.video.probe import count_frames, probe

__all__ = [
    "DecodedClip",
    "VideoInfo",
    "check_clip",
    "count_frames",
    "decode_clip",
    "decode_clips",
    "probe",
    "read_clip",
    "read_clip_array",
    "write_video",
]
