"""Commands on API keys: keys add, list, rotate, revoke.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cli.options import HERE, Json, Out, ServedToml, service_settings

app = typer.Typer(help="API keys: who may ask the service, and for what.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]


@app.command("add")
def add_key(
    role: Annotated[
        Literal["crm", "reviewer", "admin"],
        typer.Option(help="crm: sends and asks; reviewer: asks and overrides; admin: all."),
    ],
    name: Annotated[str, typer.Option(help="Whose key it is, in 1 to 80 characters.")],
    expires: Annotated[
        float | None, typer.Option(min=0.001, max=36_500, help="Days until it ends; else never.")
    ] = None,
    crm_toml: ServedToml = HERE,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Make a key; its token is printed once, alone on stdout: KEY=$(hotlead keys add ...)."""
    from serving.jobs import manage_keys as key_commands

    key_commands.add(service_settings(crm_toml, out), role, name, expires, as_json)


@app.command("list")
def list_keys(crm_toml: ServedToml = HERE, out: Out = None, as_json: Json = False) -> None:
    """List the keys; no token is shown, as none is stored."""
    from serving.jobs import manage_keys as key_commands

    key_commands.show(service_settings(crm_toml, out), as_json)


@app.command("rotate")
def rotate_key(
    key_id: KeyId,
    crm_toml: ServedToml = HERE,
    grace: Annotated[
        float, typer.Option(min=0, max=8_760, help="Hours for which the former token holds.")
    ] = 24,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Give a key a new token, printed once, alone on stdout; the former one holds for a while."""
    from serving.jobs import manage_keys as key_commands

    key_commands.rotate(service_settings(crm_toml, out), key_id, grace, as_json)


@app.command("revoke")
def revoke_key(key_id: KeyId, crm_toml: ServedToml = HERE, out: Out = None, as_json: Json = False) -> None:
    """End a key at once, with all of its tokens."""
    from serving.jobs import manage_keys as key_commands

    key_commands.revoke(service_settings(crm_toml, out), key_id, as_json)
