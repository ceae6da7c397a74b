"""Links from the pages to the CRM."""

from __future__ import annotations

from urllib.parse import quote

from features.settings import CrmSettings


def crm_link(crm: CrmSettings, lead_id: str) -> str | None:
    """The address at which the CRM shows a lead; None unless crm.toml has a `lead_link`."""
    template = crm.review.lead_link
    return template and template.replace("{lead_id}", quote(lead_id, safe=""))
