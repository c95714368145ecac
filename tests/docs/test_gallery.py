"""The code of the gallery runs as it is on the page, and makes the pictures that the page shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/gallery.md"
SHOWN = re.findall(r"!\[[^\]]+\]\(images/([^)]+)\)", PAGE.read_text(encoding="utf-8"))
MOST_BYTES = 150_000


def test_the_pictures_are_there_and_small() -> None:
    assert 4 <= len(SHOWN) <= 6
    for name in SHOWN:
        assert (PAGE.parent / "images" / name).stat().st_size <= MOST_BYTES, name


@pytest.mark.slow
def test_the_code_of_the_page_makes_its_pictures(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    subprocess.run(
        [sys.executable, str(ROOT / "tools/make_gallery.py"), "--output", str(tmp_path)], check=True
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(SHOWN)
    for name in SHOWN:
        with (
            Image.open(tmp_path / name) as made,
            Image.open(PAGE.parent / "images" / name) as shown,
        ):
            assert made.size == shown.size, name
