"""How many levels to ask for each symbol, from what the request budget allows (pure).

Every symbol gets the deepest limit that all of them fit with FLOOR_SHARE of the budget; what is left deepens the
symbols that matter most. The choice is kept for as long as it fits, so that completeness does not jump."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from collector.exchanges.base import DepthTier

FLOOR_SHARE = 0.6
KEEP_UP_TO = 1.05  # of the budget: a few symbols more must not change everybody's limit
IDLE_SHARE = 0.5  # of the budget unused, while a new choice would use it: choose anew

Plan = dict[str, int | None]


def fresh_plan(ranked: Sequence[str], tiers: Sequence[DepthTier], budget: int) -> Plan:
    """A limit for each of `ranked` (the most important first) whose weights together stay within `budget`; None for
    those that do not fit even with the smallest limit. `tiers` ascend in limit and weight."""
    count = len(ranked)
    if not count:
        return {}
    floor = max((tier for tier in tiers if tier.weight * count <= budget * FLOOR_SHARE), default=tiers[0], key=_limit)
    fitting = min(count, budget // floor.weight)
    plan: Plan = {name: floor.limit if position < fitting else None for position, name in enumerate(ranked)}
    left = budget - fitting * floor.weight
    for lower, tier in reversed(list(pairwise(tiers))):
        if lower.limit < floor.limit:
            break
        for name in ranked[:fitting]:
            extra = tier.weight - floor.weight
            if plan[name] == floor.limit and extra <= left:
                plan[name] = tier.limit
                left -= extra
    return plan


def keep_or_change(
    ranked: Sequence[str], known: Mapping[str, int | None], tiers: Sequence[DepthTier], budget: int
) -> Plan:
    """`known` limits as they are while they fit and use the budget well, with the best that fits for symbols that
    have none; else a fresh plan."""
    fresh = fresh_plan(ranked, tiers, budget)
    weights = {tier.limit: tier.weight for tier in tiers}
    plan = {name: known[name] for name in ranked if known.get(name) in weights}
    used = weight_of(plan, tiers)
    if not plan or used > budget * KEEP_UP_TO:
        return fresh
    for name in ranked:
        if name in plan:
            continue
        wanted = fresh[name] or tiers[0].limit
        fitting = [t for t in tiers if t.limit <= wanted and used + t.weight <= budget * KEEP_UP_TO]
        if not fitting:
            return fresh
        plan[name] = fitting[-1].limit
        used += fitting[-1].weight
    wasted = budget - used > budget * IDLE_SHARE and weight_of(fresh, tiers) > used * (1 + IDLE_SHARE)
    return fresh if wasted else plan


def weight_of(plan: Mapping[str, int | None], tiers: Sequence[DepthTier]) -> int:
    """The weight of asking for the whole plan once."""
    weights = {tier.limit: tier.weight for tier in tiers}
    return sum(weights[limit] for limit in plan.values() if limit is not None)


def _limit(tier: DepthTier) -> int:
    return tier.limit
