"""The page's own files, and the chart library out of its installed package.

The files lie beside this module in an installed wheel and in `ui/` of a checkout. The chart
library is 4.8 MB: its URL holds its version and so may be cached for ever, and it is compressed
once, when first asked for, in a thread.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from aiohttp import hdrs, web

CHART_LIBRARY_MARK = "%CHART_LIBRARY%"
"""Stands in index.html where the chart library's URL belongs."""
_IMMUTABLE = "public, max-age=31536000, immutable"
_COMPRESSION_LEVEL = 6
_WRITTEN_TEXT = re.compile(rb"\.textContent=(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")")
"""A literal text that the chart library writes into an element; its style sheets are such."""


def ui_directory() -> Path:
    """Return where index.html is."""
    packaged = Path(__file__).parent / "ui"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "ui"


def page_html(directory: Path) -> str:
    """Return index.html with the chart library's URL in its place.

    It names all modules, so that a browser asks for them at once: each it would find in another,
    four deep, and a request after the other is what the first numbers would wait for.
    """
    html = (directory / "index.html").read_text("utf-8")
    modules = [f"ui/js/{file.name}" for file in sorted((directory / "js").glob("*.js"))]
    links = "\n".join(f'  <link rel="modulepreload" href="{module}">' for module in modules)
    html = html.replace("</head>", f"{links}\n</head>", 1)
    return html.replace(CHART_LIBRARY_MARK, chart_library_path().lstrip("/"))


def chart_library_path() -> str:
    """Return the URL path of the chart library; another version has another one."""
    return f"/charts/plotly-{importlib.metadata.version('plotly')}.min.js"


def chart_library_file() -> Path:
    """Return plotly.min.js, found without importing plotly, which the process does not need."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


@cache
def content_security_policy() -> str:
    """Return the strictest policy that page and chart library work under.

    Scripts, styles and data come from this server alone. Besides, style elements may hold what the
    installed chart library writes into them, by hash, and nothing else; and `trusted-types` has the
    browser refuse to read any text as markup or code, but the library's own URL (charts.js).
    Browsers older than 2023 know neither and take `style-src` as it is.
    """
    texts = {b""}
    for match in _WRITTEN_TEXT.finditer(chart_library_file().read_bytes()):
        texts.add(match[1] or match[2] or b"")
    return (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"style-src-elem 'self' {' '.join(_hashes(texts))}; style-src-attr 'none'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types chart-library"
    )


def _hashes(texts: Iterable[bytes]) -> list[str]:
    digests = (hashlib.sha256(text).digest() for text in sorted(texts))
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


class ChartLibrary:
    """Serves plotly.min.js, compressed where the client takes that."""

    def __init__(self) -> None:
        self._file = chart_library_file()
        self._compressed: bytes | None = None
        self._compressing = asyncio.Lock()

    async def respond(self, request: web.Request) -> web.StreamResponse:
        headers = {
            hdrs.CACHE_CONTROL: _IMMUTABLE,
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
            hdrs.CONTENT_TYPE: "text/javascript; charset=utf-8",
        }
        if "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower():
            return web.FileResponse(self._file, headers=headers)
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=await self._gzipped(), headers=headers)

    async def _gzipped(self) -> bytes:
        async with self._compressing:
            if self._compressed is None:
                self._compressed = await asyncio.to_thread(self._read_and_compress)
        return self._compressed

    def _read_and_compress(self) -> bytes:
        return gzip.compress(self._file.read_bytes(), _COMPRESSION_LEVEL, mtime=0)
