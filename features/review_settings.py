"""[review] of crm.toml: what the review pages need to know of a company."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

Party = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[\w-]+$")]
RateTarget = Annotated[float, Field(gt=0, le=1)]
PLACE = "{lead_id}"


class Targets(BaseModel):
    """[review.targets]: what the company wants to reach; rates are shares between 0 and 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hot_leads_a_month: Annotated[int, Field(gt=0)] | None = None
    acceptance_rate: RateTarget | None = None
    opportunity_rate: RateTarget | None = None
    win_rate: RateTarget | None = None


class Review(BaseModel):
    """[review]: the link into the CRM, who signs a definition, what channels cost, the targets.

    `sign_off` names the parties that sign a new definition before it is in force; none: at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lead_link: str | None = None
    sign_off: tuple[Party, ...] = ("marketing", "sales")
    costs: Path | None = None
    targets: Targets = Targets()

    @field_validator("lead_link")
    @classmethod
    def _check_lead_link(cls, template: str | None) -> str | None:
        if template is not None and not (template.startswith(("https://", "http://")) and PLACE in template):
            raise ValueError(f"must begin with https:// and hold {PLACE}, where the id goes")
        return template

    @field_validator("sign_off")
    @classmethod
    def _check_sign_off(cls, parties: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(parties)) < len(parties):
            raise ValueError("names a party twice")
        return parties
