"""An export with everything that a CRM may hold at once: dates by day and by minute in a zone, spellings of
one value, formatted numbers, Japanese text, accounts, activities with values, histories, today's values.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

from tests.helpers.builders import write_csv
from tests.helpers.small_crm import CARD

CRM_TOML = """
[crm]
name = "mixed"
time_zone = "Asia/Tokyo"

[leads]
source = "leads.csv"
id = "番号"
created_at = "作成日時"
account = "会社"
time_formats = { "作成日時" = "%d.%m.%Y %H:%M" }
number_formats = { "従業員数" = { decimal = ",", unit = "名" }, "amount" = { decimal = "," } }

[deals]
source = "deals.csv"
lead = "lead"
outcome = "outcome"
won = ["won"]
lost = ["lost"]
closed_at = "closed"

[activities]
source = "activities.csv"
lead = "lead"
type = "type"
at = "day"
value = "value"

[changes]
source = "changes.csv"
lead = "lead"
at = "at"
column = "field"
value = "new"

[target]
horizon_days = 60
landmarks = [0, 14]

[segments]
channel = "流入元"
team = "team"

[features]
channel   = { kind = "attribute", column = "流入元", known = "at_creation" }
employees = { kind = "attribute", column = "従業員数", values = "number", known = "at_creation" }
amount    = { kind = "attribute", column = "amount", values = "number", known = "today" }
consent   = { kind = "attribute", column = "consent", known = "today" }
plan      = { kind = "attribute", column = "plan", known = "today" }
owner     = { kind = "attribute", column = "owner", known = "at_creation" }
stage     = { kind = "attribute", column = "stage", known = "history" }
age       = { kind = "age" }
visits    = { kind = "count", activity = "visit", days = 365 }
calls     = { kind = "count", activity = "電話", over = "account" }
minutes   = { kind = "sum", activity = "電話" }
last      = { kind = "last", activity = "電話" }
last_any  = { kind = "last", activity = "電話", over = "account" }
recency   = { kind = "days_since", activity = "visit" }
warmth    = { kind = "decayed", activity = "*", half_life_days = 7 }
kinds     = { kind = "distinct" }
"""
EXPORTED = datetime(2026, 6, 30, 18)
_SOURCES = ("Web", "ｗｅｂ", " WEB ", "展示会", "紹介", "", "N/A")
_CONSENTS = ("TRUE", "true", "1", "はい", "FALSE", "0", "")
_EMPLOYEES = ("1.234名", "12,5名", "２３名", "7", "1.500人", "", "3")


def write_mixed_crm(folder: Path, leads: int = 240, seed: int = 3) -> Path:
    """Write the files, a scorecard.toml and the crm.toml; the path of this."""
    rng = random.Random(seed)
    created = [EXPORTED - timedelta(minutes=rng.randint(60, 400 * 1440)) for _ in range(leads)]
    write_csv(folder / "leads.csv", [_LEAD_HEADER, *(_lead(i, created[i], rng) for i in range(leads))])
    closed = [row for i in range(leads) if (row := _deal(i, created[i], rng))]
    write_csv(folder / "deals.csv", [("lead", "outcome", "closed"), *closed])
    activities = [row for i in range(leads) for row in _activities(i, created[i], rng)]
    write_csv(folder / "activities.csv", [("lead", "type", "day", "value"), *activities])
    changes = [row for i in range(leads) for row in _changes(i, created[i], rng)]
    write_csv(folder / "changes.csv", [("lead", "at", "field", "new"), *changes])
    (folder / "crm.toml").write_text(CRM_TOML, encoding="utf-8")
    (folder / "scorecard.toml").write_text(CARD.replace('"referral"', '"WEB"'), encoding="utf-8")
    return folder / "crm.toml"


_LEAD_HEADER = (
    "番号",
    "作成日時",
    "会社",
    "流入元",
    "従業員数",
    "amount",
    "consent",
    "plan",
    "owner",
    "team",
)


def _lead(i: int, created: datetime, rng: random.Random) -> tuple[object, ...]:
    return (
        f"00{i}",
        created.strftime("%d.%m.%Y %H:%M"),
        f"会社{i % 60}" if i % 5 else "",
        rng.choice(_SOURCES),
        rng.choice(_EMPLOYEES),
        rng.choice(("1,5", "2.000,25", "", "7")),
        rng.choice(_CONSENTS),
        rng.choice(("5", "5.0", "pro", "")),
        rng.choice(("A", "B")),
        rng.choice(("東", "西")),
    )


def _deal(i: int, created: datetime, rng: random.Random) -> tuple[str, str, str] | None:
    closed = created + timedelta(days=rng.randint(3, 80))
    outcome = rng.choice(("won", "lost", "lost", ""))
    return (f"00{i}", outcome, f"{closed:%Y-%m-%d}") if outcome and closed < EXPORTED else None


def _activities(i: int, created: datetime, rng: random.Random) -> list[tuple[str, str, str, str]]:
    """Some on the same day, some before the creation, of which the order is that of the file."""
    days = [min(created + timedelta(days=rng.randint(-3, 9)), EXPORTED) for _ in range(rng.randint(0, 6))]
    return [
        (
            f"00{i}",
            rng.choice(("visit", "電話", "メール")),
            f"{day:%Y/%m/%d}",
            rng.choice(("1", "2.5", "", "30")),
        )
        for day in days
    ]


def _changes(i: int, created: datetime, rng: random.Random) -> list[tuple[str, str, str, str]]:
    """Of a history, and of columns that the leads' table has too; some before the creation, some at once."""
    names = rng.sample(("stage", "plan", "owner", "stage"), rng.randint(0, 3))
    times = [min(created + timedelta(days=rng.randint(-1, 2)), EXPORTED) for _ in names]
    values = ("新規", "提案", "A", "5.0", "")
    return [
        (f"00{i}", f"{time:%Y-%m-%dT%H:%M:%S}+09:00", name, rng.choice(values))
        for name, time in zip(names, times, strict=True)
    ]
