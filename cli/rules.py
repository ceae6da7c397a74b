"""Commands for the definition of a hot lead: rules show, replay, suggest.

Imports inside the commands keep `hotlead --help` fast: each loads only what it runs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.options import DEFAULT_CRM_TOML, CrmToml, Json, LangOption, Out, Seed, output_folder
from features.messages import Message

app = typer.Typer(
    help="The definition of a hot lead: show it, test a change, learn one.", no_args_is_help=True
)


@app.command()
def show(
    crm_toml: CrmToml = DEFAULT_CRM_TOML, out: Out = None, lang: LangOption = "en", as_json: Json = False
) -> None:
    """Show the definition of a hot lead as a table, and write it as a page."""
    from cli import console
    from features.settings import load_settings
    from scoring.pages.rules import rules_page
    from scoring.scorecard.load import card_in_use

    settings = load_settings(crm_toml)
    card = card_in_use(settings.folder, settings.table)
    if as_json:
        console.print_json(version=card.version, **card.to_dict())
        return
    console.show_page(output_folder(out, crm_toml), "rules", partial(rules_page, card), lang)


@app.command()
def replay(
    new: Annotated[Path, typer.Argument(help="The new scorecard.toml, not yet in use.")],
    crm_toml: CrmToml = DEFAULT_CRM_TOML,
    out: Out = None,
    lang: LangOption = "en",
    as_json: Json = False,
) -> None:
    """Test a new scorecard on closed deals before it is published."""
    from cli import console
    from features.settings import load_settings
    from scoring.pages.replay import replay_page
    from training.compare import replay as replay_card

    results = output_folder(out, crm_toml)
    with console.step_printer(lang, as_json) as report_step:
        result = replay_card(new, load_settings(crm_toml), results, report_step, lang)
    if as_json:
        console.print_json(**result.to_dict())
        return
    console.show_page(results, "replay", partial(replay_page, result), lang)
    step = Message(
        "let marketing and sales both sign the change off, then put {new} in the place of {present} and run "
        "hotlead train {crm}",
        new=new,
        present=crm_toml.with_name("scorecard.toml"),
        crm=crm_toml,
    )
    console.print_next_steps(lang, step)


@app.command()
def suggest(
    crm_toml: CrmToml = DEFAULT_CRM_TOML,
    to: Annotated[Path, typer.Option(help="Where to write.")] = Path("suggested-scorecard.toml"),
    oldest: Annotated[
        float, typer.Option(min=0.3, max=0.95, help="Share of the deals to learn from, oldest first.")
    ] = 0.8,
    rows: Annotated[int, typer.Option(min=2, max=40, help="Maximum number of rows.")] = 16,
    out: Out = None,
    lang: LangOption = "en",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Learn a scorecard from closed deals, for review; it is never applied automatically."""
    from cli import console
    from features.settings import load_settings
    from scoring.to_json import to_jsonable
    from training.scorecard.toml import suggest_scorecard

    with console.step_printer(lang, as_json) as report_step:
        settings = load_settings(crm_toml)
        suggestion = suggest_scorecard(
            settings, output_folder(out, crm_toml), to, oldest, rows, seed, report_step, lang
        )
    if as_json:
        console.print_json(to=str(to), scorecard=suggestion.card.to_dict(), gain=to_jsonable(suggestion.gain))
        return
    console.print_suggestion(suggestion, lang)
    console.print_message(Message("Wrote {path}; nothing is applied.", path=to), lang)
    read = Message("read {path} through", path=to)
    console.print_next_steps(lang, read, f"hotlead rules replay {to} {crm_toml}")
