"""Makes the invented exports of the tutorials in docs/.

`python examples/tutorial_data.py salesforce FOLDER`, or `japanese` in place of `salesforce`.
"""

from __future__ import annotations

import csv
import math
import random
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

FIRST, LAST = datetime(2025, 1, 6, 9), datetime(2026, 11, 20, 18)
SOURCES = ("Web", "Trade Show", "Partner Referral", "Purchased List")
TITLES = ("Head of IT", "CEO", "Engineer", "Assistant")
INDUSTRIES = ("Retail", "Banking", "Energy", "Education")
ACTIVITIES = ("Call", "Email", "Meeting")


def make_salesforce(folder: Path, leads: int = 1_500) -> None:
    """Lead, Opportunity, OpportunityFieldHistory, Task and CampaignMember as Data Loader exports them."""
    rng, tables = random.Random(7), {name: list[Mapping[str, object]]() for name in _SALESFORCE}
    for number in range(leads):
        _add_salesforce_lead(rng, number, tables)
    for name, rows in tables.items():
        _write(folder / f"{name}.csv", rows, "utf-8")


_SALESFORCE = ("Lead", "Opportunity", "OpportunityFieldHistory", "Task", "CampaignMember")


def _add_salesforce_lead(
    rng: random.Random, number: int, tables: Mapping[str, list[Mapping[str, object]]]
) -> None:
    lead_id, created = f"00Q5g{number:010d}AAA", _moment(rng, FIRST, LAST)
    source, title, employees = rng.choice(SOURCES), rng.choice(TITLES), int(rng.lognormvariate(4.5, 1.2)) + 1
    interest = rng.random()
    strength = -4.2 + 3 * interest + 0.9 * (title in TITLES[:2]) + 0.8 * (source == "Partner Referral")
    is_won = rng.random() < 1 / (1 + math.exp(-strength - 0.5 * math.log10(employees)))
    is_converted = is_won or rng.random() < 0.35
    closed = created + timedelta(days=rng.gammavariate(2, 18) + 1)
    is_open = closed > LAST
    deal_id = f"0065g{number:010d}AAA" if is_converted and created + timedelta(days=1) < LAST else ""
    status = (
        "Closed - Converted" if deal_id else "Open - Not Contacted" if is_open else "Closed - Not Converted"
    )
    tables["Lead"].append(
        {
            "Id": lead_id,
            "Company": f"Company {number // 2}",
            "Email": f"person{number}@example.com",
            "Title": title,
            "Status": status,
            "IsConverted": str(bool(deal_id)).lower(),
            "ConvertedOpportunityId": deal_id,
            "LeadSource": source,
            "Industry": rng.choice(INDUSTRIES),
            "NumberOfEmployees": employees,
            "OwnerId": f"0055g{rng.randrange(6):010d}AAA",
            "CreatedDate": _utc(created),
        }
    )
    if deal_id:
        _add_opportunity(rng, tables, deal_id, created, closed, is_won)
    for _ in range(int(interest * 6 * rng.random() + rng.random())):
        moment = _moment(rng, created, min(closed, LAST))
        task = {
            "Id": f"00T5g{len(tables['Task']):010d}AAA",
            "WhoId": lead_id,
            "TaskSubtype": rng.choice(ACTIVITIES),
        }
        tables["Task"].append({**task, "CreatedDate": _utc(moment)})
    if interest > 0.5:
        moment = _moment(rng, created, min(closed, LAST))
        member = {"CampaignId": f"7015g{rng.randrange(4):010d}AAA", "LeadId": lead_id, "Status": "Responded"}
        tables["CampaignMember"].append({**member, "CreatedDate": _utc(moment)})


def _add_opportunity(
    rng: random.Random,
    tables: Mapping[str, list[Mapping[str, object]]],
    deal_id: str,
    created: datetime,
    closed: datetime,
    is_won: bool,
) -> None:
    is_open = closed > LAST
    stage = "Negotiation" if is_open else "Closed Won" if is_won else "Closed Lost"
    tables["Opportunity"].append(
        {
            "Id": deal_id,
            "StageName": stage,
            "Amount": rng.randrange(10, 400) * 100,
            "CloseDate": closed.date(),
            "IsClosed": str(not is_open).lower(),
            "IsWon": str(is_won and not is_open).lower(),
            "CreatedDate": _utc(created + timedelta(hours=5)),
        }
    )
    moment = created + (min(closed, LAST) - created) / 2
    change = {
        "OpportunityId": deal_id,
        "Field": "StageName",
        "NewValue": "Negotiation",
        "CreatedDate": _utc(moment),
    }
    tables["OpportunityFieldHistory"].append(change)


def make_japanese(folder: Path, leads: int = 1_200) -> None:
    """One table of leads in CP932: dates of the era Reiwa, budgets in 万円, a title above the header."""
    rng = random.Random(11)
    rows = [_japanese_lead(rng, number) for number in range(leads)]
    _write(folder / "リード一覧.csv", rows, "cp932", above="リード一覧（2026年11月20日 出力）")


def _japanese_lead(rng: random.Random, number: int) -> Mapping[str, object]:
    created = _moment(rng, FIRST, LAST)
    source, rank = (
        rng.choice(("展示会", "Webサイト", "紹介", "購入リスト")),
        rng.choice(("部長", "課長", "担当者")),
    )
    size = int(rng.lognormvariate(4.5, 1.2)) + 1
    strength = -3 + 1.2 * (source == "紹介") + 0.9 * (rank == "部長") + 0.8 * math.log10(size)
    is_won = rng.random() < 1 / (1 + math.exp(-strength))
    closed = created + timedelta(days=rng.gammavariate(2, 18) + 1)
    is_open = closed > LAST
    return {
        "リード番号": f"L-{number:05d}",
        "会社名": f"会社{number // 2}",
        "役職": rank,
        "流入元": source,
        "従業員数": f"{size:,}名",
        "作成日": _reiwa(created.date()),
        "フェーズ": "商談中" if is_open else "受注" if is_won else "失注",
        "完了日": "" if is_open else _reiwa(closed.date()),
        "予算": f"{rng.randrange(20, 900)}万円",
        "担当": rng.choice(("佐藤", "鈴木", "高橋")),
    }


def _reiwa(day: date) -> str:
    return f"令和{day.year - 2018}年{day.month}月{day.day}日"


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _moment(rng: random.Random, first: datetime, last: datetime) -> datetime:
    return first + timedelta(seconds=int(rng.random() * (last - first).total_seconds()))


def _write(path: Path, rows: Sequence[Mapping[str, object]], encoding: str, above: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        file.write(f"{above}\r\n" if above else "")
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    make = {"salesforce": make_salesforce, "japanese": make_japanese}
    make[sys.argv[1]](Path(sys.argv[2]))
