"""The files around the package agree with it."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

import vidpred

ROOT = Path(__file__).parents[1]


def test_the_citation_names_this_version_and_license() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # Required by the Citation File Format 1.2.0.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == vidpred.__version__
    assert citation["license"] == project["license"]


def test_the_hosted_workflow_calls_what_is_here() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in steps
    assert any("make oldest" in step for step in steps)


@pytest.mark.parametrize("command", ["test", "slow", "lint", "types", "docs", "oldest", "ci"])
def test_each_command_of_the_makefile_can_be_planned(command: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert links
    if not (ROOT / "examples").exists():
        pytest.skip("the examples are still to come")
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_an_unreleased_version_precedes_the_one_that_the_changelog_collects() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    number, unreleased = re.findall(r"^## (\S+)( \(unreleased\))?", changelog, re.M)[0]
    version = Version(vidpred.__version__)
    assert f"{version.major}.{version.minor}" == number
    assert version.is_devrelease == bool(unreleased)


def test_the_changelog_sorts_each_version_by_kind() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    titles = set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE))
    assert (
        {"Added", "Changed", "Fixed"}
        <= titles
        <= {
            "Added",
            "Changed",
            "Deprecated",
            "Removed",
            "Fixed",
        }
    )
