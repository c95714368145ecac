"""Make the pictures of docs/gallery.md again, by running the code of the page as it is.

    python tools/make_gallery.py

The page is the only source: its Python blocks run in order in one namespace, and what they write
goes into docs/images.
"""

import argparse
import contextlib
import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def make_gallery(page: Path, output: Path) -> None:
    """Run the Python blocks of a page in the folder that takes what they write."""
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "gallery"}
    with contextlib.chdir(output):
        for block in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            # Lines before the block, so that an error names the line of the page.
            above = "\n" * text.count("\n", 0, block.start(1))
            exec(compile(above + block[1], str(page), "exec"), namespace)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the pictures of docs/gallery.md again.")
    parser.add_argument("--output", type=Path, default=DOCS / "images", help="folder of pictures")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    make_gallery(DOCS / "gallery.md", options.output.resolve())
