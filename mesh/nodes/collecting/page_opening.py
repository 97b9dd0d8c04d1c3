"""How a collector opens its page: where, for whom, and with which token.

What the page shows is run_view.py's, who may see it mesh.web's.
"""

from __future__ import annotations

from mesh.config import CollectorSettings
from mesh.nodes.channel import ChildFailed
from mesh.nodes.supervising.own_address import address_elsewhere
from mesh.web.access import is_loopback
from mesh.web.interface import RunView
from mesh.web.server import PageServer, PageUnavailable
from mesh.web.token import page_token

PAGE_TOKEN_FILE = "page-token"  # noqa: S105 the name of a file


async def open_page(view: RunView, settings: CollectorSettings) -> PageServer | None:
    """Serve `view`; None where the user wants no page.

    Raises:
        ChildFailed: it cannot be served there.
    """
    if settings.headless:
        return None
    try:
        return await PageServer.start(
            view,
            host=settings.page_host,
            port=settings.port,
            public_url=settings.public_url,
            host_elsewhere=address_elsewhere(settings.page_host, settings.mesh.advertise_host),
            token=_token(settings),
        )
    except PageUnavailable as error:
        raise ChildFailed(str(error)) from error


def _token(settings: CollectorSettings) -> str | None:
    """What opens a page that other machines can reach; None for one that they cannot."""
    if is_loopback(settings.page_host):
        return None
    return page_token(settings.directory / PAGE_TOKEN_FILE)
