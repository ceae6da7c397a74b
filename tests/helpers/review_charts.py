"""Charts for tests: each kind, in both languages, with hostile, long and missing values."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from serving.review.charts.charts import Bars, Lines, Mark, PageChart, Series, Step, Threshold, Waterfall

TOKYO = ZoneInfo("Asia/Tokyo")
SCRIPT = "<script>alert(1)</script>"
START_MS, DAY_MS = 1_790_000_000_000, 86_400_000  # 2026-09-21T23:13:20 in Tokyo
MODEL = Series("model", (1.0, 2.5), (0.5, 2.0), (1.5, 3.0), "model")
LONG = "Visits to the price page in the last 30 days: 5 or more, as the CRM of the company counts them"
LONG_JA = "過去30日間の料金ページの閲覧回数が5回以上であり、商談がまだひとつもないリードであること"

CHARTS: list[PageChart] = [
    Bars(
        title=SCRIPT,
        labels=("cold", SCRIPT),
        series=(MODEL, Series("rules", (0.5, None), color="rules")),
        unit=" x",
    ),
    Lines(
        title=SCRIPT,
        x=(1.0, 2.0),
        series=(MODEL,),
        marks=(Mark(1.5, SCRIPT),),
        unit=" %",
        x_title="predicted",
    ),
    Lines(title="dated", x=(START_MS, START_MS + DAY_MS), series=(MODEL,), zone=TOKYO),
    Waterfall(title=SCRIPT, steps=(Step("prior", -2.0, True), Step(SCRIPT, 1.5), Step("sum", -0.5, True))),
    Bars(title="nothing", labels=(), series=()),
    Lines(title="nothing", x=(), series=()),
    Waterfall(title="nothing", steps=()),
    Bars(
        title="months",
        labels=tuple(f"2026-{month:02d}" for month in range(1, 13)),
        series=(Series("hot leads", tuple(float(1_234 * month) for month in range(12)), color="model"),),
    ),
    Bars(
        title="契約率",
        labels=("1時間以内", "4時間以内", "24時間以内", "72時間以内", "それより後", "連絡なし"),
        series=(Series("契約", (39.38, 20.0, 15.0, 11.0, None, 3.0), color="rules"),),
        unit=" %",
    ),
    Lines(
        title="スコアの推移",
        x=tuple(START_MS + 9 * DAY_MS * i for i in range(4)),
        series=(
            Series("モデル", (10, 50, 88, 90), color="model"),
            Series("ルール", (20, 45, 81, 70), color="rules"),
        ),
        marks=(Mark(START_MS + DAY_MS, "資料請求"),),
        zone=TOKYO,
        thresholds=(Threshold(40, "ウォーム 40"), Threshold(80, "ホット 80")),
        y_range=(0, 100),
    ),
    Lines(title="one", x=(START_MS,), series=(Series("model", (10,), color="model"),), zone=TOKYO),
    Waterfall(
        title="steps",
        steps=(Step("average", -2.3, True), Step(LONG, 1.5), Step(LONG_JA, -0.4), Step("sum", -1.2, True)),
    ),
]
