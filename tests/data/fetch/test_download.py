import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_site import Reply, Site, serving
from light_children import WITHOUT_TORCH

from vidpred.data.fetch.download import download
from vidpred.data.fetch.remote import Remote
from vidpred.errors import DataError

SIZE = 3_000_000
CONTENT = b"PK\x03\x04" + random.Random(0).randbytes(SIZE - 4)
OTHER = b"PK\x03\x04" + random.Random(1).randbytes(SIZE - 4)
MAGICS = (b"PK\x03\x04",)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as served:
        yield served


def fetch(site: Site, path: Path, *, retries: int = 3, timeout: float = 5, size: int | None = None,
          sha256: str | None = None) -> bytes:  # fmt: skip
    remote = Remote(f"{site.address}/a.zip", size=size, sha256=sha256, magics=MAGICS)
    return download(remote, path, retries=retries, timeout=timeout, backoff=0.01).read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_alone(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    seen: list[tuple[int, int | None]] = []
    remote = Remote(f"{site.address}/a.zip", magics=MAGICS)
    download(remote, tmp_path / "a.zip", progress=lambda *step: seen.append(step))
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.zip"]
    assert seen[-1] == (SIZE, SIZE)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_what_is_there_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    assert fetch(site, tmp_path / "a.zip", size=SIZE) == CONTENT
    assert site.ranges == []


def test_a_broken_connection_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(break_after=1_000_000), Reply(break_after=500_000)]
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    # What had arrived was asked for once: the third request begins where the second broke.
    assert site.ranges == [None, "bytes=1000000-", "bytes=1500000-"]


def test_more_breaks_than_retries_are_fine_while_something_comes(
    site: Site, tmp_path: Path
) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(break_after=400_000)] * 7
    assert fetch(site, tmp_path / "a.zip", retries=0) == CONTENT
    assert len(site.ranges) == 8


def test_a_later_call_goes_on(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(break_after=1_000_000), *[Reply(status=503)] * 2]
    with pytest.raises(DataError, match=r"503 .*2 times in a row; 1,000,000 bytes are kept"):
        fetch(site, tmp_path / "a.zip", retries=1)
    assert names(tmp_path) == ["a.zip.part", "a.zip.part.json"]
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    assert site.ranges[-1] == "bytes=1000000-"


@pytest.mark.parametrize("if_range", [True, False])
def test_a_file_that_changed_meanwhile_starts_over(
    site: Site, tmp_path: Path, if_range: bool
) -> None:
    site.put("/a.zip", OTHER, etag='"old"')
    site.replies = [Reply(break_after=1_000_000), Reply(status=503)]
    with pytest.raises(DataError):
        fetch(site, tmp_path / "a.zip", retries=0)
    site.put("/a.zip", CONTENT, etag='"new"')
    site.otherwise = Reply(if_range=if_range)
    assert fetch(site, tmp_path / "a.zip") == CONTENT


def test_another_address_starts_over(site: Site, tmp_path: Path) -> None:
    """Two sites may well call their versions "1"."""
    site.put("/other.zip", OTHER)
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(break_after=1_000_000), Reply(status=503)]
    other = Remote(f"{site.address}/other.zip", magics=MAGICS)
    with pytest.raises(DataError, match="1,000,000 bytes are kept"):
        download(other, tmp_path / "a.zip", retries=0)
    assert fetch(site, tmp_path / "a.zip") == CONTENT


def test_a_shorter_file_of_the_same_name_starts_over(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", OTHER)
    site.replies = [Reply(break_after=1_000_000), Reply(status=503)]
    with pytest.raises(DataError):
        fetch(site, tmp_path / "a.zip", retries=0)
    site.put("/a.zip", CONTENT[:500_000])
    assert fetch(site, tmp_path / "a.zip") == CONTENT[:500_000]


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_without_a_sure_name_of_the_version_it_starts_over(
    site: Site, tmp_path: Path, etag: str | None
) -> None:
    site.put("/a.zip", CONTENT, etag=etag)
    site.replies = [Reply(break_after=1_000_000)]
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    assert site.ranges == [None, None]


def test_a_date_will_do_for_a_version(site: Site, tmp_path: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    site.put("/a.zip", CONTENT, etag=None)
    dated = {"Last-Modified": date}
    site.replies = [Reply(break_after=1_000_000, headers=dated)]
    site.otherwise = Reply(headers=dated, if_range=False)
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    assert site.ranges[1] == "bytes=1000000-"


def test_a_site_that_knows_no_ranges_starts_over_cleanly(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(break_after=1_000_000, ranges=False)]
    site.otherwise = Reply(ranges=False)
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    assert site.ranges == [None, "bytes=1000000-"]


def test_it_gives_up_when_every_attempt_breaks_at_the_same_place(
    site: Site, tmp_path: Path
) -> None:
    site.put("/a.zip", CONTENT)
    site.otherwise = Reply(break_after=1_000_000, ranges=False)
    with pytest.raises(DataError, match="3 times in a row"):
        fetch(site, tmp_path / "a.zip", retries=2)
    assert len(site.ranges) == 4


def test_another_part_than_asked_for_is_not_taken(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(break_after=1_000_000), Reply(shift=1)]
    assert fetch(site, tmp_path / "a.zip") == CONTENT


def test_less_than_announced_ends_with_what_is_there(site: Site, tmp_path: Path) -> None:
    """The length lies upwards: the rest is asked for, and there is none."""
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(announce=SIZE + 1000)]
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    assert site.ranges == [None, f"bytes={SIZE}-"]


def test_less_than_announced_is_refused_when_nothing_tells_the_length(
    site: Site, tmp_path: Path
) -> None:
    site.put("/a.zip", CONTENT)
    site.otherwise = Reply(announce=SIZE + 1000, silent_end=True)
    with pytest.raises(DataError, match="times in a row"):
        fetch(site, tmp_path / "a.zip")
    assert "a.zip" not in names(tmp_path)


def test_more_than_announced_is_asked_for(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(announce=SIZE - 1000)]
    assert fetch(site, tmp_path / "a.zip") == CONTENT


def test_a_length_that_is_known_beforehand_counts(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT, etag=None)
    site.otherwise = Reply(announce=SIZE - 1000)
    with pytest.raises(DataError, match=r"has 2,999,000 bytes; expected 3,000,000"):
        fetch(site, tmp_path / "a.zip", size=SIZE)
    assert names(tmp_path) == []


def test_without_a_length_all_is_taken(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(announce=-1)]
    assert fetch(site, tmp_path / "a.zip") == CONTENT


def test_wrong_bytes_are_found_by_their_hash(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", OTHER)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(DataError, match=f"expected {sha256}.*It was deleted"):
        fetch(site, tmp_path / "a.zip", sha256=sha256)
    assert names(tmp_path) == []
    site.put("/a.zip", CONTENT)
    assert fetch(site, tmp_path / "a.zip", sha256=sha256.upper()) == CONTENT


def test_a_wrong_file_that_was_there_is_kept_and_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(OTHER)
    with pytest.raises(DataError, match=r"Delete .*a\.zip"):
        fetch(site, tmp_path / "a.zip", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert names(tmp_path) == ["a.zip"]


def test_a_page_in_place_of_the_file_is_told_at_once(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", b"<html>Please log in</html>")
    site.otherwise = Reply(headers={"Content-Type": "text/html"})
    with pytest.raises(DataError, match=r"text/html.*Please log in.*browser"):
        fetch(site, tmp_path / "a.zip")
    assert names(tmp_path) == []
    assert len(site.ranges) == 1


def test_a_page_in_the_middle_costs_nothing_that_is_there(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(break_after=1_000_000), Reply(status=503)]
    with pytest.raises(DataError):
        fetch(site, tmp_path / "a.zip", retries=0)
    site.put("/a.zip", b"<html>Please log in</html>", etag='"page"')
    with pytest.raises(DataError, match="log in"):
        fetch(site, tmp_path / "a.zip")
    site.put("/a.zip", CONTENT)
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    assert site.ranges[-1] == "bytes=1000000-"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_does_not_pass_is_told_at_once(site: Site, tmp_path: Path, status: int) -> None:
    site.replies = [Reply(status=status)]
    with pytest.raises(DataError, match=f"answered {status} .*moved"):
        fetch(site, tmp_path / "a.zip")
    assert len(site.ranges) == 1


def test_what_passes_is_waited_for_as_long_as_the_site_asks(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(status=503, headers={"Retry-After": "1"}), Reply(status=429)]
    began = time.monotonic()
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    assert time.monotonic() - began >= 1


def test_redirects_are_followed(site: Site, tmp_path: Path) -> None:
    site.put("/b.zip", CONTENT)
    to = {"Location": f"{site.address}/b.zip"}
    site.replies = [Reply(status=302, headers=to), Reply(break_after=1_000_000)]
    site.replies += [Reply(status=302, headers=to)]
    assert fetch(site, tmp_path / "a.zip") == CONTENT
    assert site.ranges == [None, None, "bytes=1000000-", "bytes=1000000-"]


def test_a_circle_of_redirects_ends(site: Site, tmp_path: Path) -> None:
    site.otherwise = Reply(status=302, headers={"Location": f"{site.address}/a.zip"})
    with pytest.raises(DataError, match="redirects"):
        fetch(site, tmp_path / "a.zip")


def test_silence_counts_as_a_break(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(pause=1)]
    assert fetch(site, tmp_path / "a.zip", timeout=0.2) == CONTENT
    assert site.ranges[:2] == [None, None]


def test_a_site_that_is_not_there(tmp_path: Path) -> None:
    with serving() as gone:
        pass
    with pytest.raises(DataError, match="cannot be reached, 2 times in a row"):
        fetch(gone, tmp_path / "a.zip", retries=1)


def test_too_little_room_is_told_before_anything_is_written(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    site.replies = [Reply(announce=10**17)]
    with pytest.raises(DataError, match=r"100,000,000,000,000,000 bytes are needed"):
        fetch(site, tmp_path / "a.zip")
    assert names(tmp_path) == []


FULL_DISK = f"""
{WITHOUT_TORCH}
import resource
from vidpred.data.fetch.download import download
from vidpred.data.fetch.remote import Remote
from vidpred.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    download(Remote(sys.argv[1]), Path(sys.argv[2]))
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes on Windows")
def test_a_full_disk(site: Site, tmp_path: Path) -> None:
    """A limit on the size of files is refused by the system as a full disk is."""
    address = site.put("/a.zip", CONTENT)
    child = [sys.executable, "-W", "error", "-c", FULL_DISK, address, str(tmp_path / "a.zip")]
    said = subprocess.run(child, check=True, capture_output=True, text=True).stdout
    assert "cannot be written (File too large); what has arrived is kept. Make room" in said
    assert names(tmp_path) == ["a.zip.part", "a.zip.part.json"]
    assert fetch(site, tmp_path / "a.zip") == CONTENT


def test_a_folder_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    site.put("/a.zip", CONTENT)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot be written \(Not a directory\)"):
        fetch(site, tmp_path / "file" / "a.zip")


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="retries is -1"):
        download(Remote("http://127.0.0.1/a"), tmp_path / "a", retries=-1)
    with pytest.raises(DataError, match="expected an address of https"):
        download(Remote("ftp://127.0.0.1/a"), tmp_path / "a")


CHILD = f"""
{WITHOUT_TORCH}
from vidpred.data.fetch.download import download
from vidpred.data.fetch.remote import Remote
download(Remote(sys.argv[1]), Path(sys.argv[2]), backoff=0.01)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_goes_on(site: Site, tmp_path: Path, ending: signal.Signals) -> None:
    address = site.put("/a.zip", CONTENT)
    site.replies = [Reply(pace=0.05)]
    path, part = tmp_path / "a.zip", tmp_path / "a.zip.part"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, address, str(path)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(ending)
    assert child.wait(timeout=10) != 0
    there = part.stat().st_size
    assert 0 < there < SIZE
    assert not path.exists()
    assert fetch(site, path) == CONTENT
    assert site.ranges == [None, f"bytes={there}-"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this computer, signed by nobody that is known, and its key."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key = path.with_name("key.pem")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    made += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*made, "-keyout", str(key), "-out", str(path)], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("no openssl here to make a certificate")
    path.write_bytes(key.read_bytes() + path.read_bytes())
    return path


def test_a_certificate_that_is_not_known(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(certificate) as site:
        site.put("/a.zip", CONTENT)
        with pytest.raises(DataError, match=r"127.0.0.1 was not accepted \(self.signed.*date"):
            fetch(site, tmp_path / "a.zip")
        assert site.ranges == []
        assert names(tmp_path) == []
        # What the message advises helps.
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(certificate))
        assert fetch(site, tmp_path / "a.zip") == CONTENT


def test_https_does_not_lead_to_http(
    certificate: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(certificate))
    site.put("/a.zip", CONTENT)
    with serving(certificate) as secure:
        secure.replies = [Reply(status=302, headers={"Location": f"{site.address}/a.zip"})]
        with pytest.raises(DataError, match="leads from https to http:"):
            fetch(secure, tmp_path / "a.zip")
    assert names(tmp_path) == []
