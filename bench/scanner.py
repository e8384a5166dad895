"""Reading a chain's past: the scanner beside web3.py's plain loop of get_logs with a row saved for each event."""

import random
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Thread

from bench import database
from bench.tables import show

ANVIL_BLOCKS, EVENTS_A_BLOCK = 5_000, 10
SYNTHETIC_BLOCKS, EVERY = 100_000, 2
PEER_EVENTS = 600  # the peer's rate is that of its first events; all of them would take minutes
PEER_RANGE = 1_000
HEAD_BLOCKS = 30
BLOCK_GAS = 1_000_000


def main() -> None:
    storage = database.ready()
    rows = []
    with anvil_chain() as url:
        rows.append(measured(f"anvil, {ANVIL_BLOCKS:,} blocks", url))
    with synthetic_chain() as url:
        rows.append(measured(f"synthetic node, {SYNTHETIC_BLOCKS:,} blocks", url))
    show(("chain", "events", "ours s", "ours events/s", "web3 + ORM events/s", "times"), rows)
    with anvil_chain(ready=False) as url:
        lags = head_lags(url)
    show(("blocks at the head", "seconds until stored: p50", "p95", "longest"), [lags])
    print(f"storage: {storage}. The peer's rate is that of its first {PEER_EVENTS:,} events.")


def measured(name, url):
    seconds, stored = ours(url)
    peer = plain_loop(url)
    return name, f"{stored:,}", seconds, stored / seconds, peer, stored / seconds / peer


def head_lags(url):
    """How long after its block an order stands in the database, with the scanner as it runs: (blocks, seconds...)."""
    from collector.chains import devchain
    from collector.chains.anvil import ORDERS, ROUTER
    from collector.chains.evm import Node
    from collector.scanner import Configuration, Scanner
    from dex.models import Order

    empty()
    chain = devchain.DevChain(url)
    user = chain.accounts()[1]
    tokens = devchain.set_up(chain, [user]).tokens
    scanner = Scanner([Node(url)], Configuration(ORDERS, ROUTER, confirmations=0))
    thread = Thread(target=scanner.run)
    thread.start()
    dice, lags = random.Random(5), []
    try:
        for number in range(1, HEAD_BLOCKS + 1):
            time.sleep(dice.uniform(0.05, 1.0))
            values = (tokens["dUSDT"], tokens["dBTC"], 10**6, 10**18, 0)
            chain.send(user, ORDERS, "createOrder(address,address,uint256,uint256,uint8)", *values)
            mined = time.perf_counter()
            while not Order.objects.filter(order_id=number).exists():
                time.sleep(0.005)
            lags.append(time.perf_counter() - mined)
    finally:
        scanner.stop.set()
        thread.join()
    lags.sort()
    return HEAD_BLOCKS, lags[len(lags) // 2], lags[int(len(lags) * 0.95)], lags[-1]


def empty():
    from dex.models import Order, OrderEvent, ProcessedEvent, ScannedBlock, SystemState, Token

    for model in (Order, OrderEvent, ProcessedEvent, ScannedBlock, SystemState, Token):
        model.objects.all().delete()


def ours(url):
    """(seconds, events) of the scanner from an empty database to the head."""
    from django.db import connection

    from collector.chains.anvil import ORDERS
    from collector.chains.evm import Node
    from collector.scanner import Configuration, Scanner
    from dex.models import OrderEvent

    empty()
    node = Node(url)
    head = node.latest().height
    scanner = Scanner([node], Configuration(ORDERS, confirmations=0))
    begun = time.perf_counter()
    while scanner.cursor is None or scanner.cursor.block < head:
        scanner.guarded_round()
    seconds = time.perf_counter() - begun
    stored = OrderEvent.objects.filter(anomaly="").count()
    connection.close()  # and the lease with it: the next scanner of this contract waits for it
    return seconds, stored


def plain_loop(url):
    """Events a second of a loop as tutorials have it: logs of a range, each decoded by web3.py, each row saved."""
    from web3 import HTTPProvider, Web3

    from collector.chains import devchain
    from collector.chains.anvil import ORDERS
    from dex.models import Order, OrderEvent, ProcessedEvent

    empty()
    chain = Web3(HTTPProvider(url))
    contract = chain.eth.contract(ORDERS, abi=devchain.artifact("TradingOrders")["abi"])
    kinds = {"0x" + one().topic.removeprefix("0x"): one() for one in (
        contract.events.OrderCreated, contract.events.OrderExecuted, contract.events.OrderCancelled
    )}  # fmt: skip
    chain_id, head, first, done = chain.eth.chain_id, chain.eth.block_number, 0, 0
    begun = time.perf_counter()
    while first <= head and done < PEER_EVENTS:
        last = min(first + PEER_RANGE - 1, head)
        for log in chain.eth.get_logs({"fromBlock": first, "toBlock": last, "address": ORDERS}):
            event = kinds[log["topics"][0].to_0x_hex()].process_log(log)
            given, place = event["args"], (log["blockHash"].to_0x_hex(), log["transactionHash"].to_0x_hex())
            when = datetime.fromtimestamp(int(str(log["blockTimestamp"]), 0), UTC)
            common = {"chain_id": chain_id, "contract": ORDERS, "block_hash": place[0], "tx_hash": place[1]}
            common |= {"log_index": log["logIndex"], "block_number": log["blockNumber"]}
            if ProcessedEvent.objects.filter(pk=(chain_id, *place, log["logIndex"])).exists():
                continue
            if event["event"] == "OrderCreated":
                Order.objects.create(
                    chain_id=chain_id, contract=ORDERS, order_id=given["orderId"], user_address=given["user"],
                    token_in=given["tokenIn"], token_out=given["tokenOut"], amount_in=given["amountIn"],
                    target_price=given["targetPrice"], order_type="LIMIT", status="PENDING", tx_hash=place[1],
                    created_at=when, changed_at=when, changed_block=log["blockNumber"], changed_index=log["logIndex"],
                )  # fmt: skip
            else:
                order = Order.objects.get(chain_id=chain_id, contract=ORDERS, order_id=given["orderId"])
                order.status, order.executed_at = "EXECUTED", when
                order.save()
            OrderEvent.objects.create(
                timestamp=when, order_id=given["orderId"], event_type=event["event"], new_status="PENDING", **common
            )
            ProcessedEvent.objects.create(event_type=event["event"], processed_at=datetime.now(UTC), **common)
            done += 1
            if done >= PEER_EVENTS:
                break
        first = last + 1
    return done / (time.perf_counter() - begun)


@contextmanager
def synthetic_chain():
    argv = [sys.executable, "-m", "bench.chain", "--blocks", str(SYNTHETIC_BLOCKS), "--every", str(EVERY)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as node:
        try:
            yield f"http://127.0.0.1:{int(node.stdout.readline())}"
        finally:
            node.terminate()


@contextmanager
def anvil_chain(ready=True):
    """A real node whose contract, at the orders' address, is a few instructions that log ten creations a call, with
    the blocks of it; not `ready`, an empty chain."""
    from collector.chains import anvil
    from collector.chains.devchain import DevChain
    from tradingplatform.supervisor import free_port

    port = free_port()
    special = ["--no-mining", "--gas-limit", str(BLOCK_GAS)] if ready else []
    command = [*anvil.command(anvil.anvil(), port), *special]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as node:
        try:
            chain = DevChain(f"http://127.0.0.1:{port}")
            chain.wait(30)
            if not ready:
                yield chain.url
                return
            chain.rpc("anvil_setCode", anvil.ORDERS, emitter())
            call = {"from": chain.accounts()[0], "to": anvil.ORDERS, "gas": hex(BLOCK_GAS)}  # a block holds one
            calls = [("eth_sendTransaction", [{**call, "nonce": hex(number)}]) for number in range(ANVIL_BLOCKS)]
            chain.node.batch(calls)
            for _ in range(ANVIL_BLOCKS // 50):
                chain.mine(50)
            yield chain.url
        finally:
            node.terminate()


def emitter():
    """EVM code: memory holds the data of OrderCreated; a loop adds one to slot 0 and logs it as the order's id."""
    from bench.chain import TOKENS, TOPICS

    words = [*TOKENS, f"0x{10**6:040x}", f"0x{10**18:040x}"]
    memory = "".join(f"73{word[2:]}60{32 * at:02x}52" for at, word in enumerate(words))
    begin = f"60{EVENTS_A_BLOCK:02x}"
    loop = len(memory + begin) // 2
    body = "5b6000546001018060005533907f" + TOPICS["OrderCreated"][2:] + "60a06000a3"
    return "0x" + memory + begin + body + f"600190038061{loop:04x}5700"


if __name__ == "__main__":
    main()
