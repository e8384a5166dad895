"""Weights, refusals and bans, without a server."""

from simulator.limits import LONGEST_BAN, Limits, Rules, refusal

MINUTE = 60_000
NOW = 1_790_000_000_000 // MINUTE * MINUTE


def limits(**rules: float) -> Limits:
    return Limits({"spot": Rules(100, **rules), "futures": Rules(50, **rules)})  # type: ignore[arg-type]


def test_weight_adds_up_within_a_minute_for_each_client_and_market() -> None:
    of = limits()
    assert [of.charge("spot", "a", 40, NOW + at).used for at in (0, 1, 59_999)] == [40, 80, 120]
    assert of.charge("futures", "a", 5, NOW).used == 5
    assert of.charge("spot", "b", 7, NOW).used == 7
    assert of.charge("spot", "a", 40, NOW + MINUTE).used == 40
    assert (of.used("spot", "a", NOW + MINUTE), of.used("spot", "b", NOW + MINUTE)) == (40, 0)


def test_the_limit_itself_is_allowed_and_beyond_it_comes_429_until_the_minute_ends() -> None:
    of = limits()
    assert of.charge("spot", "a", 100, NOW).status == 200
    over = of.charge("spot", "a", 1, NOW + 45_500)
    assert (over.status, over.retry_after, over.banned_until) == (429, 15, 0)
    assert of.charge("spot", "a", 1, NOW + MINUTE).status == 200


def test_going_on_after_refusals_leads_to_bans_that_double() -> None:
    of = limits(tolerance=2, ban_seconds=100)
    statuses = [of.charge("spot", "a", 101, NOW + at).status for at in range(4)]
    assert statuses == [429, 429, 418, 418]
    until = of.usage["spot", "a"].banned_until
    assert until == NOW + 2 + 100_000
    assert of.charge("spot", "a", 1, until - 1).status == 418
    assert of.charge("futures", "a", 1, until - 1).status == 200
    assert of.charge("spot", "a", 1, until).status == 200
    again = [of.charge("spot", "a", 101, until + 5 + at) for at in range(3)]
    assert [one.status for one in again] == [429, 429, 418]
    assert again[-1].banned_until == until + 7 + 200_000
    assert again[-1].retry_after == 200


def test_refusals_of_another_minute_are_forgiven_and_no_ban_is_endless() -> None:
    of = limits(tolerance=1)
    for minute in range(4):
        assert of.charge("spot", "a", 101, NOW + minute * MINUTE).status == 429
    forever = limits(tolerance=0, ban_seconds=10**6)
    assert forever.charge("spot", "a", 101, NOW).banned_until == NOW + LONGEST_BAN


def test_switched_off_nobody_is_refused_but_all_is_counted() -> None:
    of = limits()
    of.enforce(False)
    assert [(one.status, one.used) for one in (of.charge("spot", "a", 90, NOW) for _ in range(3))] == [
        (200, 90), (200, 180), (200, 270),
    ]  # fmt: skip


def test_a_ban_says_its_end_on_both_markets() -> None:
    assert "banned until 123" in refusal("spot", 418, Rules(6000), "1.2.3.4", 123)
    assert "IP(1.2.3.4) banned until 123" in refusal("futures", 418, Rules(2400), "1.2.3.4", 123)
    assert "6000 request weight per 1 MINUTE" in refusal("spot", 429, Rules(6000), "1.2.3.4", 0)
    assert "2400 requests per minute" in refusal("futures", 429, Rules(2400), "1.2.3.4", 0)
