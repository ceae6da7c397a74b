"""The sentences on hot leads in the shipped profiles, for example leads."""

from __future__ import annotations

import tomllib
from itertools import takewhile

import pytest

from scoring.scorecard.load import parse_card, profile_text
from scoring.scorecard.rating import OneRater
from tests.scoring.scorecard.profile_leads import (
    PROFILES,
    PastActivity,
    b2b,
    card_of,
    home,
    rate_lead,
    shop,
    stage,
    triggers,
    values_of,
)

# -- B2B software --------------------------------------------------------------------------------

DECIDES: dict[str, object] = {"authority": "decider", "employees": 120}
FOUR_ROWS = (("price_page", 1), ("case_study", 2), ("webinar_attended", 3))


def test_decision_authority_120_employees_and_a_price_page_visit_are_35_points() -> None:
    rating = b2b(("price_page", 1), **DECIDES)
    assert (rating.fit[0], rating.intent[0], rating.points[0]) == (20, 15, 35)


def test_each_row_has_its_points() -> None:
    assert b2b(**DECIDES).points[0] == 20
    assert b2b(**DECIDES | {"employees": 100}).points[0] == 20
    assert b2b(**DECIDES | {"employees": 99}).points[0] == 0
    assert b2b(**DECIDES | {"authority": "influencer"}).points[0] == 0
    assert [b2b(activity).points[0] for activity in FOUR_ROWS] == [15, 10, 10]


def test_the_four_rows_together_are_55_points_and_hot() -> None:
    rating = b2b(*FOUR_ROWS, **DECIDES)
    assert rating.points[0] == 55
    assert not triggers(rating)
    assert stage(rating) == "hot"


@pytest.mark.parametrize("kind", ["webinar_attended", "white_paper", "price_page"])
def test_a_webinar_a_white_paper_or_the_price_page_alone_is_warm(kind: str) -> None:
    assert stage(b2b((kind, 3))) == "warm"


def test_what_was_done_a_month_ago_counts_no_more() -> None:
    assert b2b(("webinar_attended", 30)).points[0] == 10 - 10  # silent since then
    assert b2b(("page_view", 1), ("webinar_attended", 30)).points[0] == 10
    assert b2b(("page_view", 1), ("webinar_attended", 30.01)).points[0] == 0


def test_a_private_mail_address_costs_points() -> None:
    assert b2b(*FOUR_ROWS, mail_domain="company").points[0] == b2b(*FOUR_ROWS).points[0]
    assert b2b(*FOUR_ROWS, mail_domain="private").points[0] == b2b(*FOUR_ROWS).points[0] - 10


def test_the_commented_alternative_gives_10_and_10() -> None:
    document = tomllib.loads(_uncommented(profile_text("b2b_saas"), "# [fit.rows.decides]"))
    document["fit"]["rows"]["decides_in_larger_company"] = {"off": True}
    card = parse_card({"profile": "b2b_saas", **document}, "alternative")
    for attributes, points in (DECIDES, 20), ({"authority": "decider"}, 10), ({"employees": 100}, 10):
        assert OneRater(card)(values_of("b2b_saas", **attributes)).points[0] == points


def _uncommented(text: str, first: str) -> str:
    lines = text.splitlines()
    block = takewhile(lambda line: line.startswith("#"), lines[lines.index(first) :])
    return "\n".join(line.removeprefix("#") for line in block)


def test_a_quote_request_within_30_days_after_a_trial_started_is_hot_and_says_so() -> None:
    rating = b2b(("trial_started", 33), ("quote_request", 3))
    assert stage(rating) == "hot"
    assert "quote_after_trial" in triggers(rating)
    reason = rating.card.triggers["quote_after_trial"].because
    assert reason.en == "Asked for a quote within 30 days after a trial started"
    assert reason.ja == "トライアル開始から30日以内に見積を依頼"


@pytest.mark.parametrize(
    "activities",
    [
        [("trial_started", 34), ("quote_request", 3)],
        [("quote_request", 3), ("trial_started", 2)],
        [("quote_request", 3)],
    ],
)
def test_a_quote_request_without_a_trial_just_before_has_another_reason(
    activities: list[PastActivity],
) -> None:
    assert triggers(b2b(*activities)) == {"quote_request"}


def test_introduction_date_and_budget_stated_are_hot() -> None:
    rating = b2b(timing="within_6_months", budget="approved")
    assert triggers(rating) == {"date_and_budget"}
    assert stage(rating) == "hot"
    assert not triggers(b2b(timing="within_6_months", budget="planned"))
    assert not triggers(b2b(timing="unknown", budget="approved"))


def test_someone_who_decides_states_a_date() -> None:
    assert triggers(b2b(timing="within_6_months", authority="decider")) == {"decider_with_date"}
    assert not triggers(b2b(timing="within_6_months", authority="influencer"))
    assert not triggers(b2b(timing="unknown", authority="decider"))


# -- What holds in every trade -------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_who_asked_for_material_and_subscribed_to_a_newsletter_is_cold(profile: str) -> None:
    rating = rate_lead(profile, ("material_request", 1), ("newsletter_signup", 1))
    assert rating.points[0] == 7
    assert stage(rating) == "cold"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("activity", ["quote_request", "meeting_request"])
def test_a_quote_or_meeting_request_is_hot_by_itself(profile: str, activity: str) -> None:
    rating = rate_lead(profile, (activity, 1))
    assert stage(rating) == "hot"
    assert rating.score[0] >= 80


@pytest.mark.parametrize(
    ("profile", "stated"),
    [
        ("b2b_saas", {"timing": "within_3_months"}),
        ("b2b_saas", {"timing": "this_month"}),
        ("real_estate", {"purchase_time": "within_3_months"}),
        ("real_estate", {"purchase_time": "at_once"}),
        ("online_shop", {"account_type": "business", "delivery_date": "this_month"}),
    ],
)
def test_a_date_stated_near_is_hot_by_itself(profile: str, stated: dict[str, str]) -> None:
    assert stage(rate_lead(profile, **stated)) == "hot"


@pytest.mark.parametrize("profile", PROFILES)
def test_who_a_lead_is_alone_makes_nobody_hot(profile: str) -> None:
    card = card_of(profile)
    assert card.fit
    assert card.intent
    assert (card.fit.cap, card.intent.cap) == (30, 80)
    assert card.fit.max_points < card.bands.hot <= card.intent.max_points


HOTTEST: dict[str, tuple[list[PastActivity], dict[str, object]]] = {
    "b2b_saas": ([*FOUR_ROWS, ("quote_request", 1)], {**DECIDES, "timing": "this_month"}),
    "real_estate": (
        [("viewing_booked", 3), ("viewing_attended", 2), ("inquiry", 1), ("meeting_request", 1)],
        {"purchase_time": "at_once", "wishes": "concrete", "budget": "fixed"},
    ),
    "online_shop": (
        [("cart", 5, 2), *[("visit", d) for d in (1, 2, 3, 4)], ("quote_request", 1)],
        {"delivery_date": "this_month"},
    ),
}


@pytest.mark.parametrize(
    ("profile", "excluding"),
    [
        ("b2b_saas", {"is_competitor": "yes"}),
        ("b2b_saas", {"is_student": "yes"}),
        ("real_estate", {"is_competitor": "yes"}),
        ("real_estate", {"is_student": "yes"}),
        ("online_shop", {"account_type": "competitor"}),
        ("online_shop", {"account_type": "reseller"}),
        ("online_shop", {"account_type": "staff"}),
    ],
)
def test_who_is_excluded_is_never_hot_whatever_else(profile: str, excluding: dict[str, str]) -> None:
    activities, attributes = HOTTEST[profile]
    assert stage(rate_lead(profile, *activities, **attributes)) == "hot"
    rating = rate_lead(profile, *activities, **attributes | excluding)
    assert rating.excluded[0]
    assert (stage(rating), rating.score[0]) == ("cold", 0)


# -- Real estate ---------------------------------------------------------------------------------


def test_another_inquiry_after_a_viewing_was_booked_is_hot_at_once() -> None:
    rating = home(("inquiry", 9), ("viewing_booked", 7), ("inquiry", 2))
    assert triggers(rating) == {"inquiry_after_viewing"}
    assert stage(rating) == "hot"


@pytest.mark.parametrize(
    "activities",
    [
        [("inquiry", 2)],
        [("inquiry", 2), ("inquiry", 1)],
        [("viewing_booked", 7)],
        [("inquiry", 9), ("viewing_booked", 7)],  # the inquiry that led to the viewing
        [("viewing_booked", 40), ("inquiry", 9)],  # too late after it
        [("viewing_booked", 300), ("inquiry", 290), ("inquiry", 2)],  # last year's
        [("viewing_booked", 61), ("inquiry", 59), ("inquiry", 2)],
    ],
)
def test_an_inquiry_without_a_viewing_booked_just_before_is_no_trigger(
    activities: list[PastActivity],
) -> None:
    assert not triggers(home(*activities))


def test_an_inquiry_at_the_end_of_both_its_times_counts_still() -> None:
    assert triggers(home(("viewing_booked", 60), ("inquiry", 30))) == {"inquiry_after_viewing"}


@pytest.mark.parametrize("purchase_time", ["within_6_months", "within_3_months", "at_once"])
def test_purchase_time_and_wishes_stated_are_hot_at_once(purchase_time: str) -> None:
    assert "time_and_wishes" in triggers(home(purchase_time=purchase_time, wishes="concrete"))
    assert stage(home(purchase_time=purchase_time, wishes="concrete")) == "hot"
    assert "time_and_wishes" not in triggers(home(purchase_time=purchase_time, wishes="vague"))


@pytest.mark.parametrize("purchase_time", ["undecided", "within_1_year", None])
def test_wishes_without_a_purchase_time_near_are_no_trigger(purchase_time: str | None) -> None:
    assert not triggers(home(purchase_time=purchase_time, wishes="concrete"))


def test_an_inquiry_is_warm_and_with_a_viewing_booked_and_attended_it_is_hot() -> None:
    inquiry = ("inquiry", 9)
    assert stage(home(inquiry)) == "warm"
    assert stage(home(inquiry, ("viewing_booked", 7))) == "warm"
    rating = home(inquiry, ("viewing_booked", 7), ("viewing_attended", 2))
    assert (rating.points[0], stage(rating), triggers(rating)) == (55, "hot", set())


def test_the_wishes_of_a_family_alone_are_no_hot_lead() -> None:
    rating = home(wishes="concrete", budget="fixed", reason="school")
    assert (rating.points[0], stage(rating)) == (30, "warm")


# -- Online shop ---------------------------------------------------------------------------------

CART: PastActivity = ("cart", 5, 2)
EMPTIED_CART: PastActivity = ("cart", 0.5, 0)
THREE_TIMES: list[PastActivity] = [("product_view", d, 77) for d in (1, 2, 6)]


def test_back_within_7_days_after_filling_the_cart_is_hot_at_once() -> None:
    rating = shop(CART, ("visit", 1))
    assert triggers(rating) == {"back_to_cart"}
    assert stage(rating) == "hot"


@pytest.mark.parametrize(
    "activities",
    [
        [CART],
        [("visit", 5.01), CART],  # the visit in which the cart was filled
        [("visit", 1)],
        [("cart", 9, 2), ("visit", 1)],  # back after 8 days
        [CART, ("visit", 1), EMPTIED_CART],  # bought, or thrown out
        [("cart", 300, 2), ("visit", 299), ("visit", 1)],  # last year's cart
        [("cart", 15, 2), ("visit", 14), ("visit", 1)],
    ],
)
def test_a_cart_or_a_visit_alone_is_no_return(activities: list[PastActivity]) -> None:
    assert not triggers(shop(*activities))


def test_a_return_at_the_end_of_both_its_times_counts_still() -> None:
    assert triggers(shop(("cart", 14, 2), ("visit", 7))) == {"back_to_cart"}


def test_the_same_product_three_times_with_goods_in_the_cart_is_hot_at_once() -> None:
    rating = shop(CART, *THREE_TIMES)
    assert triggers(rating) == {"same_product_with_cart"}
    assert stage(rating) == "hot"


@pytest.mark.parametrize(
    "activities",
    [
        THREE_TIMES,
        [CART, *THREE_TIMES, EMPTIED_CART],
        [CART, *THREE_TIMES[:2]],
        [CART, *THREE_TIMES[:2], ("product_view", 3, 78)],  # another product
        [CART, *THREE_TIMES[:2], ("product_view", 14.1, 77)],  # too long ago
        [CART, *[("product_view", d) for d in (1, 2, 3)]],  # nobody knows which
    ],
)
def test_fewer_views_other_products_or_an_empty_cart_are_no_trigger(activities: list[PastActivity]) -> None:
    assert not triggers(shop(*activities))


def test_a_delivery_date_is_a_trigger_for_business_customers_alone() -> None:
    assert triggers(shop(delivery_date="this_month", account_type="business")) == {"delivery_date"}
    assert not triggers(shop(delivery_date="this_month", account_type="personal"))
    assert not triggers(shop(delivery_date="open", account_type="business"))


def test_purchase_history_gives_points() -> None:
    assert shop(("order", 200, 900)).fit[0] == 0
    assert shop(("order", 200, 900), ("order", 100, 900)).fit[0] == 15
    assert shop(("order", 200, 900), ("order", 90, 900)).fit[0] == 15 + 10
    assert shop(("order", 200, 50_000)).fit[0] == 10
    assert shop(("order", 200, 50_000), ("order", 1, 900)).fit[0] == 30  # of 35


def test_visit_frequency_gives_points() -> None:
    assert [shop(*[("visit", d)] * n).points[0] for n in (2, 3, 4) for d in (8, 2)] == [0, 0, 0, 10, 10, 20]


def test_a_good_customer_who_visits_often_is_hot_with_a_cart() -> None:
    bought: list[PastActivity] = [("order", 200, 900), ("order", 40, 900)]
    visits: list[PastActivity] = [("visit", 8), ("visit", 6), ("visit", 5.5), ("visit", 5.1)]
    assert stage(shop(*bought)) == "warm"
    assert stage(shop(*bought, *visits)) == "warm"
    rating = shop(*bought, *visits, CART)
    assert (rating.points[0], stage(rating), triggers(rating)) == (65, "hot", set())


def test_a_cart_is_warm_until_it_is_two_weeks_old() -> None:
    assert stage(shop(CART)) == "warm"
    assert stage(shop(("cart", 14.1, 2))) == "cold"
    assert stage(shop(CART, EMPTIED_CART)) == "cold"
