"""Error messages of an invalid scorecard.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from features.errors import SettingsError
from features.settings import parse_features
from features.table import FeatureTable
from scoring.scorecard.load import (
    SCORECARD_FILE,
    blank_card,
    check_features,
    load_card,
    parse_card,
    profile_features,
    profile_text,
    profiles,
)
from tests.scoring.scorecard.card_files import B2B, PROFILE_FEATURES, ROW, TABLE, card, collect_errors, write

INVALID_CARDS = {
    "warm above hot": ("[bands]\nwarm = 60", "[bands]: warm = 60 must lie below hot = 50."),
    "warm equal to hot": ("[bands]\nwarm = 50", "[bands]: warm = 50 must lie below hot = 50."),
    "bands below 1": ("[bands]\nwarm = 0", "[bands] warm: Input should be greater than 0 (got 0)."),
    "empty group": (
        "[fit.rows]\nprivate_mail.off = true\ndecides_in_larger_company.off = true",
        "[fit]: the group has no row; give it one, or leave the whole group out.",
    ),
    "a cap of nothing": ("[fit]\ncap = 0", "[fit] cap: Input should be greater than 0 (got 0)."),
    "0 points": (
        "[intent.rows.trial]\npoints = 0",
        "[intent.rows.trial]: 0 points do nothing; give points, or switch the row off (off = true).",
    ),
    "points in words": (
        '[intent.rows.trial]\npoints = "many"',
        "[intent.rows.trial] points: Input should be a valid integer, unable to parse string as an "
        "integer (got 'many').",
    ),
    "out of reach": (
        "[bands]\nhot = 101",
        "[bands] hot = 101 is out of reach: the rows give at most 100 points.",
    ),
    "one name in both groups": (
        '[fit.rows.trial]\npoints = 5\nwhen = [{ feature = "employees", at_least = 5 }]\n'
        'because = { en = "a", ja = "b" }',
        "[fit.rows.trial] and [intent.rows.trial] share a name; rename one.",
    ),
    "unknown key of a row": (
        "[intent.rows.trial]\npoint = 5",
        "[intent.rows.trial] point: there is no such key (got 5). Nearest: 'points'.",
    ),
    "unknown key of a condition": (
        '[intent.rows.trial]\nwhen = [{ feature = "trial_started_30d", at_lest = 1 }]',
        "[intent.rows.trial] when no. 1 at_lest: there is no such key (got 1). "
        "Nearest: 'at_least', 'at_most'.",
    ),
    "unknown table": (
        '[triger.x]\nwhen = [{ feature = "employees", at_least = 1 }]',
        "[triger]: there is no such table. Nearest: 'triggers', 'stages'.",
    ),
    "unknown key at the top": ("hot_iz = 5", "hot_iz: there is no such key (got 5). Nearest: 'hot_is'."),
    "unknown table of a group": (
        "[fit.row.x]\npoints = 5",
        "[fit] row: there is no such table. Nearest: 'rows'.",
    ),
    "unknown stage": (
        '[stages.hott]\nkind = "call"',
        "[stages.hott]: there is no such table. Nearest: 'hot'.",
    ),
    "unknown key of the hours": (
        '[hours]\ntimezone = "UTC"',
        "[hours] timezone: there is no such key (got 'UTC'). Nearest: 'time_zone'.",
    ),
    "no Japanese": (
        ROW.replace(', ja = "自社"', "") + 'when = [{ feature = "employees", at_least = 1 }]',
        "[intent.rows.own] because: the Japanese text (ja) is missing. Texts exist in both.",
    ),
    "no English": (
        ROW.replace('en = "Own", ', "") + 'when = [{ feature = "employees", at_least = 1 }]',
        "[intent.rows.own] because: the English text (en) is missing. Texts exist in both.",
    ),
    "an empty text": (
        '[stages.hot]\ntext = { en = " ", ja = "電話" }',
        "[stages.hot] text en: String should have at least 1 character (got ' ').",
    ),
    "a bare text": (
        '[stages.hot]\ntext = "Call"',
        "[stages.hot] text: must be a table with the keys en, ja (got 'Call').",
    ),
    "no conditions": (ROW, "[intent.rows.own] when: is missing."),
    "an empty list of conditions": (
        "[intent.rows.trial]\nwhen = []",
        "[intent.rows.trial] when: give one or more.",
    ),
    "a condition that is no list": (
        '[intent.rows.trial]\nwhen = { feature = "trial_started_30d", at_least = 1 }',
        "[intent.rows.trial] when: must be a list: [ … ].",
    ),
    "a table that is a number": ("fit = 5", "[fit]: must be a table with the keys cap, rows (got 5)."),
    "rows that are a number": ("[fit]\nrows = 5", "[fit.rows]: must be a table (got 5)."),
    "at_least above at_most": (
        '[intent.rows.trial]\nwhen = [{ feature = "trial_started_30d", at_least = 3, at_most = 1 }]',
        "[intent.rows.trial] when no. 1: at_least = 3 lies above at_most = 1: no number can hold.",
    ),
    "no kind of condition": (
        '[intent.rows.trial]\nwhen = [{ feature = "trial_started_30d" }]',
        "[intent.rows.trial] when no. 1: give either `at_least` and/or `at_most`, or `one_of`.",
    ),
    "both kinds of condition, in the second": (
        '[triggers.date]\nwhen = [{ feature = "employees", at_least = 5 }, '
        '{ feature = "timing", at_most = 1, one_of = ["a"] }]',
        "[triggers.date] when no. 2: give either `at_least` and/or `at_most`, or `one_of`.",
    ),
    "not a number": (
        '[intent.rows.trial]\nwhen = [{ feature = "trial_started_30d", at_least = nan }]',
        "[intent.rows.trial] when no. 1 at_least: Input should be a finite number (got nan).",
    ),
    "no values": (
        '[triggers.date]\nwhen = [{ feature = "timing", one_of = [] }]',
        "[triggers.date] when no. 1 one_of: give one or more.",
    ),
    "a value that is no list": (
        '[triggers.date]\nwhen = [{ feature = "timing", one_of = "this_month" }]',
        "[triggers.date] when no. 1 one_of: must be a list: [ … ] (got 'this_month').",
    ),
    "one_of on a number": (
        '[intent.rows.trial]\nwhen = [{ feature = "trial_started_30d", one_of = ["1"] }]',
        "[intent.rows.trial] feature: 'trial_started_30d' is a number: use at_least or at_most, not one_of.",
    ),
    "at_least on a text": (
        '[exclusions.competitor]\nwhen = [{ feature = "is_competitor", at_least = 1 }]',
        "[exclusions.competitor] feature: 'is_competitor' is a text: use one_of, not at_least or at_most.",
    ),
    "a prompt that is no days_since": (
        '[prompts.inquiry]\nsince = "inquiry_30d"',
        "[prompts.inquiry] since: 'inquiry_30d' must be of the kind days_since.",
    ),
    "an unknown feature": (
        '[intent.rows.trial]\nwhen = [{ feature = "trial_30d", at_least = 1 }]',
        "[intent.rows.trial] feature: 'trial_30d' is no feature of crm.toml; nearest: "
        "'trial_started_30d', 'material_request_30d', 'price_page_30d'.",
    ),
    "an unknown feature of a prompt": (
        '[prompts.inquiry]\nanswered = "since_cal"',
        "[prompts.inquiry] answered: 'since_cal' is no feature of crm.toml; nearest: 'since_call', "
        "'since_inquiry', 'since_material_request'.",
    ),
    "another hot": ('hot_is = "MQL"', "hot_is: Input should be 'mql' or 'sql' (got 'MQL')."),
    "another day": (
        '[hours]\ndays = ["mon", "Tue"]',
        "[hours] days no. 2: Input should be 'mon', 'tue', 'wed', 'thu', 'fri', 'sat' or 'sun' (got 'Tue').",
    ),
    "a deadline of 0 hours": (
        "[stages.hot]\nhours = 0",
        "[stages.hot] hours: Input should be greater than 0 (got 0).",
    ),
    "a prompt of 0 hours": (
        "[prompts.inquiry]\nhours = 0",
        "[prompts.inquiry] hours: Input should be greater than 0 (got 0).",
    ),
    "a hand-over of two years": (
        "[hand_over]\nhours = 17520",
        "[hand_over] hours: Input should be less than or equal to 8760 (got 17520).",
    ),
    "an unknown policy": (
        '[thresholds]\npolicy = "best"',
        "[thresholds] policy: Input should be 'same_volume_as_rules', 'calls_per_week', 'min_win_rate' "
        "or 'top_share' (got 'best').",
    ),
    "thresholds without values": (
        '[thresholds]\npolicy = "calls_per_week"\nhot = 5',
        "[thresholds]: calls_per_week needs both `warm` and `hot`.",
    ),
    "values without a policy": (
        "[thresholds]\nhot = 5",
        "[thresholds]: `warm` and `hot` do not go with same_volume_as_rules; drop them.",
    ),
    "shares that fall": (
        '[thresholds]\npolicy = "top_share"\nwarm = 0.1\nhot = 0.3',
        "[thresholds]: top_share: warm = 0.1 must lie above hot = 0.3.",
    ),
    "calls that fall": (
        '[thresholds]\npolicy = "calls_per_week"\nwarm = 5\nhot = 5',
        "[thresholds]: calls_per_week: warm = 5 must lie above hot = 5.",
    ),
    "win rates that fall": (
        '[thresholds]\npolicy = "min_win_rate"\nwarm = 0.3\nhot = 0.1',
        "[thresholds]: min_win_rate: warm = 0.3 must lie below hot = 0.1.",
    ),
    "shares in percent": (
        '[thresholds]\npolicy = "top_share"\nwarm = 30\nhot = 10',
        "[thresholds]: top_share: `warm` and `hot` are shares between 0 and 1.",
    ),
    "calls without end": (
        '[thresholds]\npolicy = "calls_per_week"\nwarm = inf\nhot = 5',
        "[thresholds] warm: Input should be a finite number (got inf).",
    ),
    "a misspelt row switched off": (
        "[intent.rows.newsleter]\noff = true",
        "[intent.rows.newsleter] off: the profile has nothing of that name to switch off; nearest: "
        "'newsletter', 'silent'.",
    ),
    "a misspelt prompt switched off": (
        "[prompts.enquiry]\noff = true",
        "[prompts.enquiry] off: the profile has nothing of that name to switch off; nearest: 'inquiry'.",
    ),
    "a row switched off by a word": (
        '[intent.rows.trial]\noff = "yes"',
        "[intent.rows.trial] off: there is no such key (got 'yes'). Known: 'because', 'points', 'when'.",
    ),
}


@pytest.mark.parametrize(("text", "message"), INVALID_CARDS.values(), ids=INVALID_CARDS)
def test_a_wrong_card_gives_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    assert collect_errors(write(tmp_path, B2B + text)) == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('time_zone = "Asia/Tokio"', "time_zone: no such time zone; nearest: 'Asia/Tokyo', "),
        (
            'country = "jp"',
            "country: no holidays are known for it; give an ISO code such as 'JP'; nearest: 'JP', ",
        ),
        ('region = "13"', "region: no region of JP with holidays of its own; it has none, leave "),
    ],
)
def test_a_wrong_place_is_named_with_the_nearest(text: str, message: str, tmp_path: Path) -> None:
    (line,) = collect_errors(write(tmp_path, f"{B2B}[hours]\n{text}"))
    assert line.startswith(f"[hours] {message}")
    value = text.split('"')[1]
    assert line.endswith(f" (got {value!r}).")


def test_an_unknown_profile_lists_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path, 'profile = "b2b"')
    assert collect_errors(path) == [
        "profile: must be one of 'b2b_saas', 'online_shop', 'real_estate' (got 'b2b')."
    ]
    assert collect_errors(write(tmp_path, 'profile = ["b2b_saas"]'))[0].endswith("(got ['b2b_saas']).")


@pytest.mark.parametrize("text", ["[bands\nwarm = 1", "warm = ", 'profile = "b2b_saas'])
def test_what_is_no_toml_says_where(text: str, tmp_path: Path) -> None:
    (line,) = collect_errors(write(tmp_path, text))
    assert line.startswith("is not TOML: ")
    assert "line" in line or "end of document" in line


def test_a_missing_file_says_how_to_begin(tmp_path: Path) -> None:
    assert collect_errors(tmp_path / SCORECARD_FILE) == [
        "there is no such file. `hotlead rules suggest` writes one from closed deals, or begin with one "
        'line: profile = "b2b_saas" (or online_shop, real_estate).'
    ]


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / SCORECARD_FILE
    path.write_bytes("# 基準\n".encode("cp932"))
    (line,) = collect_errors(path)
    assert line.startswith("cannot be read (")
    assert line.endswith("It must be UTF-8.")


def test_a_byte_order_mark_of_windows_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / SCORECARD_FILE
    path.write_bytes(b"\xef\xbb\xbf" + B2B.replace("\n", "\r\n").encode())
    assert load_card(path, TABLE) == card(B2B)


def test_sql_needs_a_hand_over(tmp_path: Path) -> None:
    full_text = profile_text("b2b_saas").replace('hot_is = "mql"', 'hot_is = "sql"')
    before, _, after = full_text.partition("[hand_over]")
    text = before + after[after.index("# Every inquiry") :]
    assert collect_errors(write(tmp_path, text)) == ['hot_is = "sql" needs the action [hand_over].']


@pytest.mark.parametrize("name", ["bands", "stages"])
def test_what_a_card_without_a_profile_needs(name: str, tmp_path: Path) -> None:
    plain = blank_card().to_dict()
    del plain[name]
    with pytest.raises(SettingsError, match=rf"^card: \[{name}\]: is missing\.$"):
        parse_card(plain, "card")


def test_several_problems_are_told_at_once_without_repeating(tmp_path: Path) -> None:
    text = B2B + "[bands]\nwarm = 0\n[intent.rows.trial]\npoints = 0\n[stages.hot]\nhours = -1"
    assert [line.split(":")[0] for line in collect_errors(write(tmp_path, text))] == [
        "[bands] warm",
        "[intent.rows.trial]",
        "[stages.hot] hours",
    ]


@pytest.mark.parametrize("profile", profiles())
def test_a_missing_feature_of_a_profile_comes_with_a_definition_that_holds(profile: str) -> None:
    features, scorecard = profile_features(profile)["features"], card(f'profile = "{profile}"')
    for name in features:
        without = FeatureTable(parse_features({k: v for k, v in features.items() if k != name}))
        with pytest.raises(SettingsError) as problem:
            check_features(scorecard, without, "card")
        for line in str(problem.value).splitlines():
            assert f"{name!r} is no feature of crm.toml" in line
            assert f"scoring/scorecard/profiles/{profile}.features.toml" in line
            proposed = line.split("takes `")[1].split("` (all of them")[0]
            assert tomllib.loads(proposed) == {name: features[name]}


def test_a_feature_that_no_profile_knows_comes_without_a_definition(tmp_path: Path) -> None:
    text = B2B + ROW + 'when = [{ feature = "visits", at_least = 1 }]'
    (line,) = collect_errors(write(tmp_path, text))
    assert "The profile needs it" not in line


def test_no_more_than_six_features_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    lines = collect_errors(
        write(tmp_path, B2B), FeatureTable(parse_features({"budget": PROFILE_FEATURES["budget"]}))
    )
    rules = [c for _, _, rule in card(B2B).rules() for c in rule.when if c.feature != "budget"]
    assert len(lines) == 7
    assert lines[-1] == f"{len(rules) + 2 * len(card(B2B).prompts) - 6} more of this kind."
