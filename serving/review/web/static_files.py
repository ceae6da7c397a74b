"""The files that pages load: all are part of Hotlead, and browsers keep them until they change."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOLDER = Path(__file__).parents[1] / "static"


class Static:
    """Answers with a file of the folder `static`; an ASGI app."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].rpartition("/")[2]
        response: Any = PlainTextResponse("There is no such file.", 404)
        if scope["method"] not in ("GET", "HEAD"):
            response = PlainTextResponse("This is a file.", 405, {"allow": "GET, HEAD"})
        elif name in file_names():
            headers = {"cache-control": "public, max-age=31536000, immutable"}
            response = FileResponse(_FOLDER / name, headers=headers, media_type=_TYPES[Path(name).suffix])
        await response(scope, receive, send)


@cache
def file_names() -> frozenset[str]:
    return frozenset(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES)


@cache
def asset_url(name: str) -> str:
    """The address of a file; it changes with the content, so that browsers may keep it."""
    digest = hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()[:12]
    return f"/review/static/{name}?{digest}"
