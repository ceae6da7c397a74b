"""Commands for API keys: keys add, list, rotate, revoke.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cli.options import DEFAULT_CRM_TOML, Json, LangOption, Out, ServedToml, service_settings

app = typer.Typer(help="API keys: who may use the service, and for what.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]


@app.command("add")
def add_key(
    role: Annotated[
        Literal["crm", "reviewer", "admin"],
        typer.Option(help="crm: send records, read scores; reviewer: read and override; admin: everything."),
    ],
    name: Annotated[str, typer.Option(help="The owner of the key, 1 to 80 characters.")],
    expires: Annotated[
        float | None, typer.Option(min=0.001, max=36_500, help="Days until the key expires. Default: never.")
    ] = None,
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Create a key; its token is printed once, alone on stdout: KEY=$(hotlead keys add ...)."""
    from serving.jobs import manage_keys

    manage_keys.add(service_settings(crm_toml, out), role, name, expires, as_json, lang)


@app.command("list")
def list_keys(
    crm_toml: ServedToml = DEFAULT_CRM_TOML, out: Out = None, lang: LangOption = "en", as_json: Json = False
) -> None:
    """List the keys, without their tokens, which are not stored."""
    from serving.jobs import manage_keys

    manage_keys.show(service_settings(crm_toml, out), as_json, lang)


@app.command("rotate")
def rotate_key(
    key_id: KeyId,
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    grace: Annotated[
        float, typer.Option(min=0, max=8_760, help="Hours for which the old token stays valid.")
    ] = 24,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Give a key a new token, printed once, alone on stdout; the old one stays valid for a while."""
    from serving.jobs import manage_keys

    manage_keys.rotate(service_settings(crm_toml, out), key_id, grace, as_json, lang)


@app.command("revoke")
def revoke_key(
    key_id: KeyId,
    crm_toml: ServedToml = DEFAULT_CRM_TOML,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Revoke a key and all its tokens at once."""
    from serving.jobs import manage_keys

    manage_keys.revoke(service_settings(crm_toml, out), key_id, as_json, lang)
