"""A run's page as one file that needs no server: `report RUN_DIR`.

The file is the page itself (`ui/`) with all that a server would answer written into it; its
scripts find the run in the file (ui/js/reported_run.js) and ask nobody. What models wrote stands
in the file as JSON only, which no browser reads as markup or code, and the file's own policy lets
no script run but the page's own, which a nonce of the file's own names, and nothing be fetched.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from pathlib import Path

from mesh.web.interface import JsonObject
from mesh.web.static_files import CHART_LIBRARY_MARK, chart_library_file, ui_directory

_STYLE = '<link rel="stylesheet" href="ui/style.css">'
_SCRIPT = '<script type="module" src="ui/page.js"></script>'
_TITLE = "<title>Topic Mesh</title>"
_IMPORT = re.compile(r'(from "|import ")(\./|\.\./)([^"]+)(")')
NONCE_BYTES = 16
_MODULES = "topicmesh/"
"""What the page's own modules are called in the file: relative names mean nothing there."""


def report_html(run: JsonObject) -> str:
    """The file.

    Args:
        run: `metrics` (with history), `peers`, `facets` and `names` as the API answers them,
            `items`: all rows of `/api/items`, and `written`: when, as ISO 8601.
    """
    directory = ui_directory()
    html = (directory / "index.html").read_text("utf-8")
    imports = _in_script(json.dumps({"imports": _modules(directory)}))
    start = f'import "{_MODULES}page.js";'
    charts = _in_script(chart_library_file().read_text("utf-8"))
    nonce = secrets.token_urlsafe(NONCE_BYTES)
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(nonce)}">\n'
        f"<style>{(directory / 'style.css').read_text('utf-8')}</style>"
    )
    data = _in_script(json.dumps(run, ensure_ascii=False, separators=(",", ":")))
    # The chart library comes last: numbers and entries are shown before a browser has read it.
    tail = (
        f'<script type="importmap" nonce="{nonce}">{imports}</script>\n'
        f'<script type="application/json" id="reported-run">{data}</script>\n'
        f'<script nonce="{nonce}">{charts}</script>\n'
        f'<script type="module" nonce="{nonce}">{start}</script>\n'
        "</body>"
    )
    for mark, text in (
        (_STYLE, head),
        (_SCRIPT, ""),
        (f' data-chart-library="{CHART_LIBRARY_MARK}"', ' class="report"'),
        (_TITLE, f"<title>{_escaped(str(run['metrics']['topic']))} · Topic Mesh</title>"),
        ("</body>", tail),
    ):
        before, found, after = html.rpartition(mark)
        assert found, mark
        html = before + text + after
    return html


def _modules(directory: Path) -> dict[str, str]:
    """Each of the page's modules as a URL that holds it."""
    files = [directory / "page.js", *sorted((directory / "js").glob("*.js"))]
    return {
        _MODULES + file.relative_to(directory).as_posix(): _module_url(file, directory)
        for file in files
    }


def _module_url(file: Path, directory: Path) -> str:
    folder = file.parent.relative_to(directory)

    def absolute(match: re.Match[str]) -> str:
        before, _, name, after = match.groups()
        return f"{before}{_MODULES}{(folder / name).as_posix()}{after}"

    source = _IMPORT.sub(absolute, file.read_text("utf-8"))
    return f"data:text/javascript;base64,{base64.b64encode(source.encode()).decode()}"


def _policy(nonce: str) -> str:
    """What the file's scripts and styles may be; modules are let in by whom they are imported."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _in_script(text: str) -> str:
    """`text`, JSON or JavaScript, so that nothing in it ends the script element it stands in.

    In both, `<` before a letter, `/` or `!` occurs in strings and patterns only, where an escape
    means the same.
    """
    return re.sub(r"<(?=/script|script|!--)", r"\\u003c", text, flags=re.IGNORECASE)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
