"""Other sites, and other names for this machine, get nothing."""

from typing import Any

import pytest
import requests
from starlette.datastructures import Headers

from vidpred.page.guards import foreign

OURS = "127.0.0.1:8750"


def problem(method: str = "GET", path: str = "/api/about", **headers: str) -> str | None:
    named = {name.replace("_", "-"): value for name, value in {"host": OURS, **headers}.items()}
    return foreign(Headers(named), method, path)


@pytest.mark.parametrize(
    "host", [OURS, "localhost:8750", "LOCALHOST:1", "[::1]:8750", "127.0.0.1", "[::1]"]
)
def test_names_of_this_machine_are_taken(host: str) -> None:
    assert problem(host=host, origin=f"http://{host}") is None


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8750",
            "127.0.0.1.evil.example",
            "localhost.",
            "",
            "0.0.0.0",
        ),
        *("127.0.0.1:8750:80", "localhost:port", "192.168.0.2:8750", "[::2]:8750"),
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    assert "expected one of" in (problem(host=host) or "")


def test_a_second_host_next_to_ours_is_refused() -> None:
    both = Headers(raw=[(b"host", OURS.encode()), (b"host", b"evil.example")])
    assert "expected one of" in (foreign(both, "GET", "/") or "")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9", "file://"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_pages_of_other_origins_are_refused(origin: str, method: str) -> None:
    assert "expected this page itself" in (problem(method, origin=origin) or "")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_requests_that_browsers_mark_as_foreign_are_refused(site: str) -> None:
    assert "another page" in (problem(sec_fetch_site=site) or "")
    assert "another page" in (problem(path="/", sec_fetch_site=site, sec_fetch_dest="iframe") or "")


def test_a_link_from_elsewhere_may_lead_here() -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert problem(path="/", sec_fetch_dest="document", **link) is None
    assert problem("POST", path="/", sec_fetch_dest="document", **link) is not None
    assert problem(path="/api/about", sec_fetch_dest="document", **link) is not None


def test_the_server_asks_the_guard(server: Any) -> None:
    for headers in (
        {"Host": f"evil.example:{server.port}"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        for method, path in (("GET", "/"), ("GET", "/api/about"), ("POST", "/api/tabs")):
            answer = requests.request(method, server.address + path, headers=headers, timeout=30)
            assert answer.status_code == 403
            assert "expected" in answer.json()["problem"]
    # No answer allows other origins to read it, and a preflight is refused.
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{server.address}/api/tabs", headers=preflight, timeout=30)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_only_the_loopback_address_listens(server: Any) -> None:
    from vidpred.page.address import listening

    with listening(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
