"""A trained CRM whose leads are forgotten, and the traces that a lead leaves in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from scoring.model.pseudonyms import Pseudonyms
from serving.jobs.forget_lead import ForgetResult, forget
from serving.settings import ServiceSettings
from tests.helpers.service.live_service import settings_of


@dataclass(frozen=True)
class TrainedCrm:
    """A CRM with a champion and its bundle, and leads of the evidence."""

    crm_toml: Path
    lead_ids: list[str]

    @property
    def out(self) -> Path:
        return self.settings.out

    @property
    def settings(self) -> ServiceSettings:
        return settings_of(self.crm_toml)

    def pseudonym(self, lead_id: str) -> str:
        return Pseudonyms.load(self.settings.pseudonym_key_file).derive(lead_id)

    def forget(self, *lead_ids: str, **environ: str) -> ForgetResult:
        return forget(self.settings, lead_ids, [], environ, patience=3.0)


def traces(folder: Path, *names: str) -> list[str]:
    """The files that hold one of the names, as bytes or in a table of leads."""
    paths = []
    for path in (p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += "\n".join(pq.read_table(path)["lead"].to_pylist()).encode()
        if any(name.encode() in content for name in names):
            paths.append(str(path.relative_to(folder)))
    return sorted(paths)
