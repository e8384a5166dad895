"""Logs as a node would tell them, of a chain that nobody runs."""

import hashlib
from datetime import UTC, datetime

from eth_abi import encode
from eth_utils.abi import event_abi_to_log_topic

from collector.chains import devchain
from dex import services
from dex.chain import Log
from dex.decode import Decoder
from dex.events import TokenFacts
from dex.services import Cursor, Deployment, Stretch

ABI = devchain.artifact("TradingOrders")["abi"]
EVENTS = {entry["name"]: entry for entry in ABI if entry["type"] == "event"}
TOPICS = {name: "0x" + event_abi_to_log_topic(entry).hex() for name, entry in EVENTS.items()}
DECODER = Decoder(ABI)
DEPLOYMENT = Deployment(1, devchain.ORDERS)
ALICE, BOB = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
USDT, BTC = "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707", "0xA51c1fc2f0D1a1b8494Ed1FE312d7C3a78Ed91C0"
TOKENS = (TokenFacts(USDT, "USDT", "Tether", 6), TokenFacts(BTC, "BTC", "Bitcoin", 8))
GENESIS = 1_700_000_000


def digest(*parts):
    return "0x" + hashlib.sha256(repr(parts).encode()).hexdigest()


def block_hash(number, branch=""):
    return digest("block", number, branch)


def log(name, order_id, block, index=0, branch="", **values):
    """One log; what is not given is ALICE's order of a dUSDT for BTC."""
    given = {
        "orderId": order_id,
        "user": ALICE,
        "tokenIn": USDT,
        "tokenOut": BTC,
        "amountIn": 1_500_000,
        "amountOut": 2_500,
        "targetPrice": 10**18,
        "orderType": 0,
        **values,
    }
    indexed = [entry for entry in EVENTS[name]["inputs"] if entry["indexed"]]
    plain = [entry for entry in EVENTS[name]["inputs"] if not entry["indexed"]]
    return Log(
        address=DEPLOYMENT.contract,
        topics=[TOPICS[name], *("0x" + encode([one["type"]], [given[one["name"]]]).hex() for one in indexed)],
        data="0x" + encode([one["type"] for one in plain], [given[one["name"]] for one in plain]).hex(),
        block_number=hex(block),
        block_hash=block_hash(block, branch),
        transaction_hash=digest("tx", name, order_id, block, index, branch),
        log_index=hex(index),
        block_timestamp=hex(GENESIS + 12 * block),
    )


def time_of(block):
    return datetime.fromtimestamp(GENESIS + 12 * block, UTC)


def stretch(end, logs, branch="", first=None):
    numbers = range(end if first is None else first, end + 1)
    return Stretch(Cursor(end, block_hash(end, branch)), logs, {}, [(n, block_hash(n, branch)) for n in numbers])


def store(logs, end=None, cursor=None):
    """Stores logs right after `cursor`, or as the first of the chain; gives the new cursor."""
    cursor = cursor or services.begin(DEPLOYMENT)
    last = max(int(one.block_number, 16) for one in logs) if end is None else end
    return services.apply(DEPLOYMENT, DECODER, cursor, stretch(last, logs, first=cursor.block + 1)).cursor
