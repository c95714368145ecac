"""`vidpred compare`: result files ranked, as a table and a report."""

import argparse
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidpred.cli.common import require_no_folder, say
from vidpred.cli.progress import counting
from vidpred.cli.value_types import given_path
from vidpred.files import is_irregular


def add_compare_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    """Add `compare`; parsing sets `run`, a function from arguments to exit status."""
    parser = subparsers.add_parser(
        "compare",
        help="rank results of one protocol, as a table and a report",
        description="Rank result files of `vidpred test` and `vidpred score` on the clips that "
        "count for all of them, with 95 % intervals. Results of different protocols are refused. "
        "The table is Markdown on the standard output.",
    )
    parser.add_argument(
        "results",
        metavar="[NAME=]RESULT",
        nargs="+",
        help="result file, or a folder: all result files (*.json) in it",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=given_path,
        help="also write a report: one .html file that needs no network",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=given_path, help="also write the comparison as JSON"
    )
    parser.add_argument(
        "--measure",
        metavar="KEY",
        help="measure that ranks, such as psnr.standard.whole (default: the protocol's first)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that are there already"
    )
    parser.set_defaults(run=run_compare)


def run_compare(arguments: argparse.Namespace) -> int:
    """Run `vidpred compare`: Markdown on stdout, what was written on stderr.

    Raises:
        ResultError: When results cannot be read or compared, or an output exists already.
    """
    # Here and not above: `--help` has to answer at once.
    from vidpred.errors import ResultError
    from vidpred.evaluation.compare.comparison import compare
    from vidpred.evaluation.compare.markdown import markdown
    from vidpred.evaluation.results.gathering import read_results
    from vidpred.files import write_json

    _check_output(arguments.json, ".json", overwrite=arguments.overwrite)
    _check_output(arguments.output, ".html", overwrite=arguments.overwrite)
    outputs = [path for path in (arguments.json, arguments.output) if path]
    results = read_results(arguments.results)
    for path in outputs:
        if path.resolve() in {Path(file).resolve() for file in results}:
            raise ResultError(f"{path}: this is one of the results; choose another name")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise ResultError(f"{outputs[0]}: --json and --output are the same file; choose two names")
    comparison = compare(results, measure=arguments.measure)
    if arguments.json:
        with _writing(arguments.json):
            write_json(arguments.json, comparison)
    if arguments.output:
        from vidpred.evaluation.report import write_report

        with _writing(arguments.output), counting("Pictures of clips") as progress:
            write_report(arguments.output, comparison, progress=progress)
    for path in outputs:
        say(f"wrote {path}")
    print(markdown(comparison), end="")
    return 0


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say why a file cannot be written, under the name that was given."""
    from vidpred.errors import ResultError

    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResultError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place"
        ) from error


def _check_output(path: Path | None, ending: str, *, overwrite: bool) -> None:
    """Refuse before work is done."""
    from vidpred.errors import ResultError

    if path is None:
        return
    require_no_folder(path, ending)
    if is_irregular(path):
        raise ResultError(f"{path}: is a pipe or a device; choose another name")
    if path.exists() and not overwrite:
        raise ResultError(
            f"{path}: this file is there already; choose another name, or give --overwrite"
        )
