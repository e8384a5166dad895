"""An exchange small enough to be obvious: every change has an id, every state is kept. Tests compare books with it."""

from itertools import pairwise
from random import Random

from depth.book import DepthDiff, Snapshot, snapshot_from_levels

BASE = 1000


class Exchange:
    """One symbol. State `n` is what it was after the first n changes. On spot every change has the next id; on futures
    ids are left out between them (`stride`), and a snapshot's may be one of those. Diffs hold at most `longest`."""

    def __init__(self, random: Random, changes: int, futures: bool, drift: float = 0.0, longest: int = 6):
        self.stride = 3 if futures else 1
        self._random = random
        bids = {500 - random.randint(1, 40): random.randint(1, 9) for _ in range(random.randint(2, 25))}
        asks = {500 + random.randint(1, 40): random.randint(1, 9) for _ in range(random.randint(2, 25))}
        self.states = [(bids, asks)]
        self._changed = []
        for _ in range(changes):
            self._step(random, drift)
        ends = [0]
        while ends[-1] < changes:
            ends.append(min(ends[-1] + random.randint(1, longest), changes))
        self.diffs = [self._diff(start, end) for start, end in pairwise(ends)]

    def _step(self, random, drift):
        """One level of one side gets another quantity, or goes; books are never crossed and no side is ever empty."""
        bids, asks = (dict(side) for side in self.states[-1])
        best_bid, best_ask = max(bids), min(asks)
        number = int(random.random() < 0.5 + drift * (0.5 if random.random() < 0.5 else -0.5))
        side = (bids, asks)[number]
        if len(side) > 1 and random.random() < 0.45:
            near = (best_bid, best_ask)[number]
            price, quantity = (near if random.random() < 0.5 + abs(drift) else random.choice(sorted(side))), 0
        elif number == 0:
            price, quantity = random.randint(max(best_ask - 30, 1), best_ask - 1), random.randint(1, 9)
        else:
            price, quantity = random.randint(best_bid + 1, best_bid + 30), random.randint(1, 9)
        side[price] = quantity
        if not quantity:
            del side[price]
        self.states.append((bids, asks))
        self._changed.append((number, price, quantity))

    def _diff(self, start, end):
        levels = ({}, {})
        for number, price, quantity in self._changed[start:end]:
            levels[number][float(price)] = float(quantity)
        bids, asks = (list(side.items()) for side in levels)
        return DepthDiff("X", "M", self.id(start), self.id(end), 10_000 + end, bids, asks)

    def id(self, state: int) -> int:
        return BASE + state * self.stride

    def snapshot(self, state: int, limit: int) -> Snapshot:
        bids, asks = self.states[state]
        sides = (sorted(bids.items(), reverse=True), sorted(asks.items()))
        texts = [[(str(p), str(q)) for p, q in side[:limit]] for side in sides]
        return snapshot_from_levels(*texts, limit, self.id(state) + self._random.randrange(self.stride), None)

    def at(self, sequence: int):
        """Bids and asks as they were at an id."""
        return self.states[(sequence - BASE) // self.stride]

    def state_after(self, diffs: int) -> int:
        return (self.diffs[diffs - 1].sequence - BASE) // self.stride if diffs else 0
