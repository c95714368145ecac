"""Archives of a few bytes, and what becomes of them."""

import io
import zipfile
from pathlib import Path, PurePosixPath

from vidpred.data.fetch.archive_readers import Reader, ZipReader
from vidpred.data.fetch.unpacking import unpack

GOOD = {"top/A/one.txt": b"1" * 1000, "top/B/two.txt": b"22", "top/B/empty.txt": b""}


def all_below_top(path: PurePosixPath) -> Path | None:
    return Path(*path.parts[1:]) if path.suffix == ".txt" else None


def write_zip(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(content: bytes, folder: Path, *, readers: list[Reader] | None = None,
        max_bytes: int = 10**6) -> dict[str, bytes]:  # fmt: skip
    archive = folder / "archive"
    archive.write_bytes(content)
    target = folder / "target"
    unpack(
        archive, target, readers=readers or [ZipReader()], place=all_below_top, max_bytes=max_bytes
    )
    return tree(target)


BELOW_TOP = {name.removeprefix("top/"): content for name, content in GOOD.items()}
