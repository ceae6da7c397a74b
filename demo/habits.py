"""The kinds of activity, with their frequency, timing and value as functions of the traits."""

from dataclasses import dataclass

KINDS = (
    "mail_open",
    "mail_click",
    "page_view",
    "price_page",
    "case_study",
    "white_paper",
    "material_request",
    "webinar_registered",
    "webinar_attended",
    "seminar_question",
    "trade_fair_visit",
    "inquiry",
    "trial_started",
    "trial_login",
    "quote_request",
    "meeting_request",
    "call",
    "newsletter_signup",
    "unsubscribed",
)
CODE = {kind: code for code, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Habit:
    """An independent kind: `count` per lead at neutral traits, with log slopes on the traits.

    Ages follow a gamma distribution with `mean_days` and `shape`; `ripens` stretches it to the
    lead's own pace and, with intent, moves it later, so that keen leads accelerate.
    """

    kind: str
    count: float
    intent: float = 0.0
    fit: float = 0.0
    funded: float = 0.0
    evaluating: float = 0.0
    outsider: float = 0.0
    mail_bot: float = 0.0
    idle: float = 0.0
    mean_days: float = 30.0
    shape: float = 0.7
    ripens: bool = False


HABITS = (
    Habit("mail_open", 4.0, intent=0.2, idle=0.7, mail_bot=1.1, mean_days=130, shape=0.9),
    Habit("page_view", 3.2, intent=0.4, idle=0.5, outsider=0.5, mean_days=28, shape=0.5),
    Habit("price_page", 0.45, intent=0.8, outsider=1.2, mail_bot=0.8, shape=0.6, ripens=True),
    Habit("case_study", 0.35, intent=0.5, fit=0.25, outsider=0.4, shape=0.6),
    Habit("white_paper", 0.35, intent=0.15, idle=0.3, outsider=0.7, mean_days=45),
    Habit("material_request", 0.12, intent=0.5, fit=0.1, shape=0.6),
    Habit("webinar_registered", 0.25, intent=0.3, fit=0.1, mean_days=60),
    Habit("trade_fair_visit", 0.03, fit=0.2, mean_days=150, shape=1.0),
    Habit("inquiry", 0.06, intent=0.8, funded=0.4, shape=0.6, ripens=True),
    Habit("trial_started", 0.05, intent=0.3, evaluating=1.8, outsider=0.4, shape=0.5, ripens=True),
    Habit("quote_request", 0.02, intent=0.8, funded=0.7, ripens=True),
    Habit("meeting_request", 0.03, intent=1.0, funded=0.8, ripens=True),
    Habit("newsletter_signup", 0.12, idle=0.3, mean_days=20),
    Habit("call", 1.3, intent=0.35, fit=0.1, mean_days=25, shape=0.8),
)


@dataclass(frozen=True)
class Sequel:
    """A kind that follows another: its number per parent, log slopes on the traits, and its delay.

    `within_seconds` draws a short delay; otherwise whole days with mean `mean_days`.
    """

    parent: str
    kind: str
    count: float
    intent: float = 0.0
    funded: float = 0.0
    evaluating: float = 0.0
    outsider: float = 0.0
    mean_days: float = 0.0
    within_seconds: int = 0
    at_most_once: bool = True


SEQUELS = (
    Sequel("mail_open", "mail_click", 0.14, intent=0.35, within_seconds=180),
    Sequel("webinar_registered", "webinar_attended", 0.55, intent=0.2, mean_days=6),
    Sequel("webinar_attended", "seminar_question", 0.12, intent=0.6, within_seconds=3_000),
    Sequel("trial_started", "trial_login", 4.0, intent=0.35, evaluating=0.5, mean_days=6, at_most_once=False),
    Sequel(
        "trial_started",
        "quote_request",
        0.09,
        intent=0.6,
        funded=0.6,
        evaluating=0.9,
        outsider=-2.0,
        mean_days=6,
    ),
    Sequel("price_page", "inquiry", 0.05, intent=0.6, outsider=-3.0, mean_days=3),
)

# Median, log deviation and maximum of the value; other kinds have no value.
TYPICAL_VALUE = {
    "page_view": (1.5, 0.8, 60.0),  # minutes
    "price_page": (1.2, 0.7, 60.0),  # minutes
    "case_study": (6.0, 0.5, 16.0),  # pages read
    "white_paper": (12.0, 0.5, 32.0),  # pages read
    "webinar_attended": (38.0, 0.4, 60.0),  # minutes
    "trial_login": (14.0, 0.7, 180.0),  # minutes
    "call": (5.0, 0.7, 60.0),  # minutes
    "quote_request": (1_200.0, 0.8, 50_000.0),  # thousand yen
}
