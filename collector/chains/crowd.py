"""Beside the demo's chain: a crowd that trades on it. `python -m collector.chains.crowd NODE MARKET` deploys what is
not there yet, keeps the router at the market's prices, and creates, executes and cancels orders at a calm pace.

The same seed and the same number of orders make the same next step, so a restart goes on as if there had been none."""

import argparse
import logging
import random
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

import requests
from eth_utils.address import to_checksum_address

from collector.chains import devchain
from collector.chains.devchain import Contracts, DevChain
from collector.chains.evm import ChainError, Refused

logger = logging.getLogger("crowd")

PACE = 5.0  # seconds between two steps
PRICES_EVERY = 2  # steps, after which one pool moves
MOST_PENDING = 40
REMEMBERED = 400  # newest orders that the crowd still cares for
TRADERS = 6
DEEP = 3_000  # whole base tokens in a pool: an order of this crowd moves a price by hundredths of a percent
ONE = 10**18
MARKETS = {"ETH": "ETHUSDT", "dBTC": "BTCUSDT", "dSOL": "SOLUSDT", "dLINK": "LINKUSDT"}
SIZES = {"ETH": 2.0, "dBTC": 0.1, "dSOL": 40.0, "dLINK": 300.0}  # whole tokens, about
DECIMALS = {"ETH": 18, **{token.symbol: token.decimals for token in devchain.TOKENS}}
PENDING = 1  # the contract's word for it


@dataclass(frozen=True, slots=True)
class Open:
    """A pending order as the crowd sees it."""

    order_id: int
    user: str
    token_in: str
    token_out: str
    amount_in: int
    target: int
    is_stop: bool


class Crowd:
    """Traders on a chain whose contracts are there."""

    def __init__(self, chain: DevChain, contracts: Contracts, market: str, seed: int = 7) -> None:
        self.chain, self.contracts, self.market, self.seed = chain, contracts, market, seed
        self.owner, *traders = chain.accounts()
        self.traders = traders[:TRADERS]
        self.steps = 0
        self.open = self._read_open()

    def step(self) -> None:
        """One thing that somebody does. Raises ChainError."""
        if self.steps % PRICES_EVERY == 0:
            self.move_prices([list(MARKETS)[self.steps // PRICES_EVERY % len(MARKETS)]])
        self.steps += 1
        count = int(self.chain.call(self.contracts.orders, "orderCount()"))
        dice = random.Random(f"{self.seed} {count} {self.steps}")  # noqa: S311 - a play, and it shall repeat
        if self._execute_one():
            return
        if self.open and (len(self.open) >= MOST_PENDING or dice.random() < 0.2):
            order = dice.choice(list(self.open.values()))
            self._end(order, order.user, "cancelOrder(uint256)")
        else:
            self._create(dice, count + 1)

    def move_prices(self, symbols: Iterable[str]) -> None:
        """Puts pools at their markets' prices; a market that does not answer leaves its pool alone."""
        for symbol, price in self._prices(symbols).items():
            base, quote = self.contracts.tokens[symbol], self.contracts.tokens["dUSDT"]
            reserves = (DEEP * 10 ** DECIMALS[symbol], int(DEEP * price * 10 ** DECIMALS["dUSDT"]))
            signature = "setReserves(address,address,uint256,uint256)"
            self.chain.send(self.owner, self.contracts.router, signature, base, quote, *reserves)

    def _prices(self, symbols: Iterable[str]) -> Mapping[str, float]:
        found = {}
        for symbol in symbols:
            name = MARKETS[symbol]
            try:
                address = f"{self.market}/api/v3/ticker/price"
                answer = requests.get(address, params={"symbol": name}, timeout=3)
                found[symbol] = float(answer.json()["price"])
            except (requests.RequestException, ValueError, KeyError, TypeError) as error:
                logger.debug("no price of %s: %s", name, error)
        return found

    def _create(self, dice: random.Random, order_id: int) -> None:
        """A new order: a coin against dUSDT or the other way round, its target a little away from the price."""
        symbol = dice.choice(list(MARKETS))
        user = dice.choice(self.traders)
        one, other = (symbol, "dUSDT") if dice.random() < 0.5 else ("dUSDT", symbol)
        size = SIZES[symbol] * dice.uniform(0.2, 1.0)
        token_in, token_out = self.contracts.tokens[one], self.contracts.tokens[other]
        base, quote = self.contracts.tokens[symbol], self.contracts.tokens["dUSDT"]
        base_amount = int(round(size, 4) * 10**6) * 10 ** (DECIMALS[symbol] - 6)
        amount = base_amount if one == symbol else self._quote(base, quote, base_amount)
        price = self._price(amount, self._quote(token_in, token_out, amount), one, other)
        is_stop = dice.random() < 0.25
        away = dice.uniform(0.0005, 0.008)
        target = round(price * (1 - away if is_stop else 1 + away)) // 10**6 * 10**6 or 1
        values = (token_in, token_out, amount, target, int(is_stop))
        signature = "createOrder(address,address,uint256,uint256,uint8)"
        coin = amount if one == "ETH" else 0
        self.chain.send(user, self.contracts.orders, signature, *values, coin=coin)
        self.open[order_id] = Open(order_id, user, token_in, token_out, amount, target, is_stop)

    def _execute_one(self) -> bool:
        """Fills the first pending order whose price is reached, if there is one."""
        for order in list(self.open.values()):
            try:
                self._end(order, self.owner, "executeOrder(uint256)", only_if_possible=True)
            except Refused:
                continue
            return True
        return False

    def _end(self, order: Open, sender: str, signature: str, only_if_possible: bool = False) -> None:
        if only_if_possible:  # asked first: a refused transaction would make a block, too
            question = {"from": sender, "to": self.contracts.orders}
            data = devchain.call_data(signature, order.order_id)
            self.chain.rpc("eth_call", {**question, "data": data}, "latest")
        self.chain.send(sender, self.contracts.orders, signature, order.order_id)
        self.open.pop(order.order_id, None)

    def _quote(self, token_in: str, token_out: str, amount: int) -> int:
        signature = "getAmountsOut(uint256,address[])"
        path = [token_in, token_out]
        return int(self.chain.call(self.contracts.router, signature, amount, path, gives=["uint256[]"])[1])

    def _price(self, amount: int, out: int, one: str, other: str) -> int:
        return out * ONE * 10 ** DECIMALS[one] // (amount * 10 ** DECIMALS[other])

    def _read_open(self) -> dict[int, Open]:
        """Pending orders of an earlier run."""
        count = int(self.chain.call(self.contracts.orders, "orderCount()"))
        kinds = ("address", "address", "address", "uint256", "uint256", "uint8", "uint8")
        found = {}
        for number in range(max(1, count - REMEMBERED + 1), count + 1):
            row: Any = self.chain.call(self.contracts.orders, "orders(uint256)", number, gives=kinds)
            user, token_in, token_out = (str(to_checksum_address(address)) for address in row[:3])
            amount, target, kind, status = row[3:]
            if status == PENDING:
                found[number] = Open(number, user, token_in, token_out, amount, target, kind == 1)
        return found


def run(chain: DevChain, market: str, seed: int, stop: Event) -> None:
    """Trades until `stop`. After a failure it looks anew: the chain may have been started again, with less on it than
    there was. Raises TimeoutError where none answers."""
    crowd = None
    while not stop.is_set():
        try:
            crowd = crowd or _begin(chain, market, seed)
            crowd.step()
        except ChainError as error:
            logger.warning("a step failed: %s", error)
            crowd = None
        stop.wait(PACE)


def _begin(chain: DevChain, market: str, seed: int) -> Crowd:
    chain.wait(60)
    crowd = Crowd(chain, devchain.set_up(chain, chain.accounts()[1 : TRADERS + 1]), market, seed)
    crowd.move_prices(MARKETS)
    return crowd


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m collector.chains.crowd", description="Trades on the demo's chain.")
    parser.add_argument("node", help="address of the chain's node")
    parser.add_argument("market", help="address of a market that tells prices as Binance does")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(DevChain(arguments.node), arguments.market, arguments.seed, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
