"""The web app of the service: the routes of the API and of the review pages, and how errors are answered."""

from __future__ import annotations

from starlette.applications import Starlette

from serving.api.routes import ERRORS, Api, handle_error
from serving.review.site import Site


def create_app(api: Api, site: Site) -> Starlette:
    """The app around an API and the review pages. Errors of all layers are answered here alone."""
    app = Starlette(
        routes=[*api.routes(), *site.routes()], exception_handlers=dict.fromkeys(ERRORS, handle_error)
    )
    app.router.redirect_slashes = False  # a path with another slash is unknown: 404 for everyone
    return app
