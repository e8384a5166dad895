"""The choice of depth limits: within the budget, deeper for what matters more, kept while it fits."""

from hypothesis import assume, given
from hypothesis import strategies as st

from collector.exchanges.binance.urls import TIERS
from collector.plan import KEEP_UP_TO, fresh_plan, keep_or_change, weight_of

MARKETS = st.sampled_from(sorted(TIERS))
BUDGETS = st.integers(10, 12_000)
COUNTS = st.integers(0, 1500)


def ranked(count):
    return [f"S{number}" for number in range(count)]


@given(MARKETS, BUDGETS, COUNTS)
def test_a_plan_names_everyone_and_stays_within_the_budget(market, budget, count):
    plan = fresh_plan(ranked(count), TIERS[market], budget)
    assert list(plan) == ranked(count)
    assert weight_of(plan, TIERS[market]) <= budget
    assert set(plan.values()) <= {None, *(tier.limit for tier in TIERS[market])}


@given(MARKETS, BUDGETS, COUNTS)
def test_whoever_matters_more_is_never_read_less_deep(market, budget, count):
    depths = [limit or 0 for limit in fresh_plan(ranked(count), TIERS[market], budget).values()]
    assert depths == sorted(depths, reverse=True)


@given(MARKETS, BUDGETS, COUNTS)
def test_nobody_is_left_out_while_the_smallest_limit_fits(market, budget, count):
    smallest = TIERS[market][0]
    left_out = list(fresh_plan(ranked(count), TIERS[market], budget).values()).count(None)
    assert left_out == max(0, count - budget // smallest.weight)


@given(MARKETS, BUDGETS, st.integers(1, 800))
def test_a_plan_is_kept_as_it_is(market, budget, count):
    names, tiers = ranked(count), TIERS[market]
    first = fresh_plan(names, tiers, budget)
    assume(None not in first.values())
    assert keep_or_change(names, first, tiers, budget) == first
    assert keep_or_change(names[::-1], first, tiers, budget) == first, "whatever the ranks have become"


@given(MARKETS, BUDGETS, st.integers(1, 300), st.integers(0, 30), st.integers(0, 30))
def test_changes_of_the_set_never_break_the_budget(market, budget, count, gone, new):
    names, tiers = ranked(count), TIERS[market]
    known = fresh_plan(names, tiers, budget)
    changed = names[gone:] + [f"N{number}" for number in range(new)]
    plan = keep_or_change(changed, known, tiers, budget)
    assert set(plan) == set(changed)
    assert weight_of(plan, tiers) <= budget * KEEP_UP_TO


def test_the_limits_of_a_hundred_symbols():
    spot = list(fresh_plan(ranked(100), TIERS["SPOT"], 4200).values())
    assert (spot.count(5000), spot.count(1000), spot.count(500)) == (7, 5, 88)
    futures = list(fresh_plan(ranked(100), TIERS["FUTURES"], 1680).values())
    assert (futures.count(1000), futures.count(500)) == (68, 32)


def test_one_symbol_more_changes_nobody_else():
    known = fresh_plan(ranked(100), TIERS["SPOT"], 4200)
    plan = keep_or_change(["NEW", *ranked(100)], known, TIERS["SPOT"], 4200)
    assert {name: plan[name] for name in known} == known
    assert plan["NEW"] == 1000


def test_a_smaller_budget_makes_a_new_plan():
    known = fresh_plan(ranked(100), TIERS["SPOT"], 4200)
    assert keep_or_change(ranked(100), known, TIERS["SPOT"], 2000) == fresh_plan(ranked(100), TIERS["SPOT"], 2000)


def test_a_budget_that_lies_idle_makes_a_new_plan():
    known = fresh_plan(ranked(400), TIERS["SPOT"], 4200)
    few = ranked(400)[10:20]
    assert set(keep_or_change(few, known, TIERS["SPOT"], 4200).values()) == {5000}


def test_a_limit_that_the_exchange_does_not_offer_any_more_is_chosen_anew():
    assert keep_or_change(["A"], {"A": 777}, TIERS["FUTURES"], 1680) == {"A": 1000}
