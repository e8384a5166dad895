"""Logs to events, by our own ABI and by others'."""

from dataclasses import asdict

import msgspec
import pytest
from eth_abi import encode
from eth_utils import keccak
from eth_utils.abi import event_abi_to_log_topic
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3
from web3._utils.events import get_event_data

from dex.chain import Log, may_hold
from dex.decode import AbiError, Decoder, Undecodable
from dex.events import EventType
from tests.dex.factories import ABI, ALICE, BTC, DECODER, EVENTS, TOPICS, USDT, log, time_of

WORDS = st.integers(0, 2**256 - 1)
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: Web3.to_checksum_address("0x" + raw.hex()))


@given(WORDS, WORDS, WORDS, ADDRESSES, ADDRESSES, st.integers(0, 255))
def test_a_creation_says_what_went_into_it(order_id, amount, price, user, token, kind):
    one = log("OrderCreated", order_id, 5, user=user, tokenIn=token, amountIn=amount, targetPrice=price, orderType=kind)
    event = DECODER.decode(one)
    assert (event.kind, event.order_id, event.user, event.token_in) == (EventType.CREATED, order_id, user, token)
    assert (event.amount_in, event.target_price, event.amount_out) == (amount, price, None)
    assert event.order_type == {0: "LIMIT", 1: "STOP"}.get(kind, f"TYPE_{kind}")
    assert (event.time, event.block_number, event.log_index) == (time_of(5), 5, 0)


@pytest.mark.parametrize("name", list(EVENTS))
def test_web3_reads_the_same(name):
    one = log(name, 77, 9, 3)
    raw = msgspec.to_builtins(one)
    told = get_event_data(
        Web3().codec,
        EVENTS[name],
        {
            **raw,
            "topics": [bytes.fromhex(topic[2:]) for topic in raw["topics"]],
            "data": bytes.fromhex(raw["data"][2:]),
            "blockNumber": 9,
            "logIndex": 3,
            "transactionIndex": 0,
        },
    )["args"]
    event = asdict(DECODER.decode(one))
    names = {"orderId": "order_id", "tokenIn": "token_in", "tokenOut": "token_out", "amountIn": "amount_in"}
    names |= {"amountOut": "amount_out", "targetPrice": "target_price", "user": "user"}
    assert {names[key]: value for key, value in told.items() if key in names}.items() <= event.items()


@given(st.binary(max_size=300))
def test_any_other_data_is_refused_and_nothing_worse(data):
    one = msgspec.structs.replace(log("OrderCreated", 1, 1), data="0x" + data.hex())
    if len(data) != 160:
        with pytest.raises(Undecodable):
            DECODER.decode(one)


@pytest.mark.parametrize(
    "change",
    [
        {"topics": []},
        {"topics": [TOPICS["OrderCreated"]]},
        {"topics": ["0x" + "00" * 32, "0x" + "00" * 32, "0x" + "00" * 32]},
        {"data": "0x"},
        {"data": "0x" + "zz" * 160},
        {"data": "0x" + "00" * 128 + "ff" * 32},  # no uint8
        {"block_timestamp": "0x" + "f" * 20},
        {"block_timestamp": None},
    ],
)
def test_what_the_abi_does_not_describe_is_refused(change):
    with pytest.raises(Undecodable):
        DECODER.decode(msgspec.structs.replace(log("OrderCreated", 1, 1), **change))


def entry(name, *inputs):
    parts = [dict(zip(("name", "type", "indexed"), one, strict=True)) for one in inputs]
    return {"type": "event", "name": name, "inputs": parts, "anonymous": False}


OTHERS = [
    entry(
        "OrderCreated",
        ("maker", "address", True),
        ("id", "uint64", False),
        ("_sellToken", "address", False),
        ("buy_token", "address", False),
        ("note", "string", False),
        ("amountIn", "uint128", False),
        ("limitPrice", "uint256", False),
        ("orderType", "string", False),
    ),
    entry("OrderExecuted", ("id", "uint64", True), ("filler", "address", True), ("amountReceived", "uint256", False)),
    entry("OrderCancelled", ("id", "uint64", True)),
]


def test_another_contracts_events_are_read_by_its_own_abi():
    decoder = Decoder(OTHERS)
    kinds = ["uint64", "address", "address", "string", "uint128", "uint256", "string"]
    created = Log(
        address=ALICE,
        topics=["0x" + event_abi_to_log_topic(OTHERS[0]).hex(), "0x" + encode(["address"], [ALICE]).hex()],
        data="0x" + encode(kinds, [42, USDT, BTC, "a note", 5, 6, "stop"]).hex(),
        block_number="0x7",
        block_hash="0x1",
        transaction_hash="0x2",
        log_index="0x0",
    )
    event = decoder.decode(created, time_of(7))
    assert (event.order_id, event.user, event.token_in, event.token_out) == (42, ALICE, USDT, BTC)
    assert (event.amount_in, event.target_price, event.order_type, event.time) == (5, 6, "STOP", time_of(7))
    assert len(decoder.topics) == 3
    hostile = encode(kinds, [42, USDT, BTC, "a note", 5, 6, "st\0op\n" * 9]).hex()
    assert (
        decoder.decode(msgspec.structs.replace(created, data="0x" + hostile), time_of(7)).order_type
        == "STOPSTOPSTOPSTOP"
    )
    broken = msgspec.structs.replace(created, data=created.data[:-64])
    with pytest.raises(Undecodable):
        decoder.decode(broken, time_of(7))


def test_an_abi_without_the_events_is_refused():
    with pytest.raises(AbiError, match="OrderCancelled"):
        Decoder(OTHERS[:2])
    with pytest.raises(AbiError, match="OrderCancelled has no order_id"):
        Decoder([*OTHERS[:2], entry("OrderCancelled", ("what", "uint256", False))])
    assert Decoder(ABI).topics == sorted(TOPICS.values())


def test_blooms_promise_what_they_hold():
    items = [keccak(text=str(number)) for number in range(40)]
    bits = 0
    for digest in items[:20]:
        for place in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[place : place + 2]) & 2047)
    bloom = f"0x{bits:0512x}"
    assert all(may_hold(bloom, [one]) for one in items[:20])
    assert sum(may_hold(bloom, [one]) for one in items[20:]) <= 2
    assert may_hold("", items)
