"""Options of the commands that take the directory of a run: its page, a report, its names."""

from __future__ import annotations

from mesh.cli import option_values as values
from mesh.cli.option_parser import OptionGroup, OptionParser, add_help


def view_parser(program: str) -> OptionParser:
    parser = OptionParser(
        program,
        "%(prog)s view RUN_DIR [--port N]",
        "Serve the page of a run that has ended, as it was at its end, until Ctrl-C.",
        f"example:\n  {program} view runs/paris-attractions-0c5a1e",
    )
    parser.add_argument("run_dir", type=values.path, metavar="RUN_DIR", help="the run's directory")
    add_page_address(parser)
    add_help(parser)
    return parser


def report_parser(program: str) -> OptionParser:
    parser = OptionParser(
        program,
        "%(prog)s report RUN_DIR [--to FILE]",
        "Write the page of a run into one HTML file that needs no server: to keep, or to share.",
        f"example:\n  {program} report runs/paris-attractions-0c5a1e --to paris.html",
    )
    parser.add_argument("run_dir", type=values.path, metavar="RUN_DIR", help="the run's directory")
    parser.add_argument(
        "--to",
        dest="file",
        type=values.path,
        metavar="FILE",
        help="default report.html in the run's directory; replaced if it is there",
    )
    add_help(parser)
    return parser


def review_parser(program: str) -> OptionParser:
    parser = OptionParser(
        program,
        "%(prog)s review RUN_DIR [--apart TEXT] [--merge TEXT ENTRY] [--different ENTRY ENTRY]",
        "Show which names count as one entry and which may be one, and decide otherwise.",
        f"examples:\n  {program} review runs/paris-attractions-0c5a1e\n"
        f'  {program} review runs/paris-attractions-0c5a1e --merge "Louvre Palace" Louvre',
    )
    parser.add_argument("run_dir", type=values.path, metavar="RUN_DIR", help="the run's directory")
    group = parser.add_argument_group("decide otherwise, while the run does not go on")
    group.add_argument(
        "--apart",
        action="append",
        metavar="TEXT",
        help="another form of an entry becomes an entry of its own, the last of the list",
    )
    group.add_argument(
        "--merge",
        dest="merges",
        action="append",
        nargs=2,
        metavar=("TEXT", "ENTRY"),
        help="the first of two entries becomes another form of the second",
    )
    group.add_argument(
        "--different",
        action="append",
        nargs=2,
        metavar=("ENTRY", "OTHER"),
        help="two entries are two: no longer in doubt",
    )
    parser.add_argument(
        "--limit", type=values.line_count, metavar="N", help="lines of each kind; default 50"
    )
    add_help(parser)
    return parser


def add_page_address(group: OptionGroup) -> None:
    group.add_argument(
        "--port", type=values.port, metavar="N", help="the page's; default 8080, 0: any free one"
    )
    group.add_argument(
        "--page-host",
        type=values.page_host,
        metavar="H",
        help="default 127.0.0.1; 0.0.0.0 shows it to other machines, by an address with a key",
    )
    group.add_argument(
        "--public-url",
        type=values.public_url,
        metavar="URL",
        help="its address behind a proxy, such as https://host/mesh",
    )
