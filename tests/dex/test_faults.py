"""Nodes that fail, lag, lie or refuse, and a database that goes away: what is stored stays what the chain says."""

import random

import msgspec
import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection

from collector import scanner as scanner_module
from collector import scanner_recovery
from collector.chains import devchain, evm
from collector.chains.evm import Lagging, Node, TooMuch, Unavailable
from collector.chains.reading import Source, read_blocks, read_range
from dex.models import Order, SystemState
from tests.dex.conftest import assert_is_the_chains, catch_up
from tests.dex.factories import DECODER

pytestmark = pytest.mark.usefixtures("clean")
SOURCE = Source(devchain.ORDERS, tuple(DECODER.topics))


class Faulty(Node):
    """A node that passes every question and its answer through `change` (method, parameters, answer)."""

    def __init__(self, url, change=lambda method, parameters, answer: answer, batches=True):
        super().__init__(url)
        self.change, self.takes_batches, self.asked = change, batches, []

    def _post(self, body):
        asked = msgspec.json.decode(body)
        if isinstance(asked, list) and not self.takes_batches:
            return b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batches are not served"}}'
        answered = msgspec.json.decode(super()._post(body))
        if not isinstance(asked, list):
            return msgspec.json.encode(self._changed(asked, answered))
        by_id = {one["id"]: one for one in answered}
        return msgspec.json.encode([self._changed(one, by_id[one["id"]]) for one in reversed(asked)])

    def _changed(self, question, answer):
        self.asked.append((question["method"], question["params"]))
        found = self.change(question["method"], question["params"], answer)
        return {"jsonrpc": "2.0", "id": question["id"], **{k: found[k] for k in ("result", "error") if k in found}}


def refusal(code, message):
    return {"error": {"code": code, "message": message}}


def width(parameters):
    return int(parameters[0]["toBlock"], 16) - int(parameters[0]["fromBlock"], 16) + 1


def many(chain, orders=12, apart=20):
    for number in range(1, orders + 1):
        chain.create(user=number % 3)
        chain.mine(apart)
        if number % 2:
            chain.cancel(number, user=number % 3)


@pytest.mark.parametrize(
    "told",
    [
        refusal(-32005, "query returned more than 10000 results"),
        refusal(-32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"),
        refusal(-32000, "block range is too wide"),
        refusal(-32600, "exceed maximum block range: 50000"),
    ],
)
def test_ranges_become_as_short_as_the_node_wants_them(chain, make_scanner, told, monkeypatch):
    many(chain)

    def at_most_30(method, parameters, answer):
        return told if method == "eth_getLogs" and width(parameters) > 30 else answer

    node = Faulty(chain.url, at_most_30)
    monkeypatch.setattr(scanner_module, "DEEP", 31)
    catch_up(make_scanner([node]))
    assert_is_the_chains(chain)
    widths = [width(parameters) for method, parameters in node.asked if method == "eth_getLogs"]
    assert max(widths) > 30
    assert sum(found > 30 for found in widths) < len(widths)


def test_a_node_that_knows_a_block_but_not_yet_its_logs_is_not_believed(chain, make_scanner):
    many(chain, orders=3, apart=1)

    def forgets(method, parameters, answer):
        return {"result": []} if method == "eth_getLogs" and "fromBlock" in parameters[0] else answer

    catch_up(make_scanner([Faulty(chain.url, forgets)]))
    assert_is_the_chains(chain)
    assert Order.objects.count() == 3


def test_an_empty_answer_about_blocks_that_the_node_does_not_have_is_not_believed(chain):
    head = chain.height()

    def is_behind(method, parameters, answer):
        if method == "eth_getLogs":
            return {"result": []}
        number = parameters[0] if parameters else "0x0"
        return {"result": None} if method == "eth_getBlockByNumber" and int(number, 16) > head - 3 else answer

    node = Faulty(chain.url, is_behind)
    for read in (read_range, read_blocks):
        with pytest.raises(Lagging):
            read(node, SOURCE, head - 5, head)


def test_a_chain_that_changes_while_it_is_read_is_not_believed(chain):
    chain.create()
    head = chain.height()
    seen = []

    def changes(method, parameters, answer):
        if method == "eth_getBlockByNumber":
            seen.append(parameters)
            if len(seen) == 1:  # of the answers the last one
                return {"result": {**answer["result"], "hash": "0x" + "ab" * 32}}
        return answer

    with pytest.raises(evm.Contradiction):
        read_range(Faulty(chain.url, changes), SOURCE, head - 5, head)

    def other_branch(method, parameters, answer):
        if method == "eth_getLogs":
            return {"result": [{**one, "blockHash": "0x" + "cd" * 32} for one in answer["result"]]}
        return answer

    with pytest.raises(evm.Contradiction):
        read_blocks(Faulty(chain.url, other_branch), SOURCE, head - 5, head)


def test_a_log_told_twice_is_counted_once(chain, make_scanner):
    chain.create()

    def twice(method, parameters, answer):
        return {"result": answer["result"] * 2} if method == "eth_getLogs" else answer

    catch_up(make_scanner([Faulty(chain.url, twice)]))
    assert_is_the_chains(chain)


def test_a_node_without_times_in_its_logs(chain, make_scanner):
    many(chain, orders=4)

    def untimed(method, parameters, answer):
        if method == "eth_getLogs":
            return {"result": [{k: v for k, v in one.items() if k != "blockTimestamp"} for one in answer["result"]]}
        return answer

    catch_up(make_scanner([Faulty(chain.url, untimed)]))
    assert_is_the_chains(chain)
    first = Order.objects.order_by("order_id").first()
    header = chain.rpc("eth_getTransactionByHash", first.tx_hash)["blockNumber"]
    block = chain.node.blocks([int(header, 16)])[0]
    assert first.created_at == block.time


def test_a_node_that_takes_no_batches(chain, make_scanner):
    many(chain, orders=3)
    catch_up(make_scanner([Faulty(chain.url, batches=False)]))
    assert_is_the_chains(chain)


def test_a_node_that_is_dead_gives_way_to_the_next(chain, make_scanner):
    chain.create()
    scanner = make_scanner([Node("http://127.0.0.1:9"), Node(chain.url)])
    assert scanner.guarded_round() == scanner_module.BACK_OFF[0]
    catch_up(scanner)
    assert_is_the_chains(chain)
    assert SystemState.objects.get().provider == chain.node.name


def test_a_node_of_another_chain_is_never_read(chain, make_scanner):
    chain.create()

    def other(method, parameters, answer):
        return {"result": "0x1"} if method == "eth_chainId" else answer

    scanner = make_scanner([Node(chain.url), Faulty(chain.url.replace("127.0.0.1", "localhost"), other)])
    catch_up(scanner)
    chain.create()
    scanner._next_node()
    scanner.guarded_round()
    assert Order.objects.count() == 1
    assert "is of chain 1, not 31337" in SystemState.objects.get().last_error
    catch_up(scanner)
    assert_is_the_chains(chain)


def test_a_node_whose_head_stands_still_gives_way(chain, make_scanner, monkeypatch):
    head = chain.rpc("eth_getBlockByNumber", "latest", False)

    def stuck(method, parameters, answer):
        return {"result": head} if parameters == ["latest", False] else answer

    scanner = make_scanner([Faulty(chain.url, stuck), Node(chain.url.replace("127.0.0.1", "localhost"))])
    chain.create()
    catch_up(scanner)
    assert not Order.objects.exists()
    monkeypatch.setattr(scanner_module, "STUCK_AFTER", 0.0)
    scanner.guarded_round()
    catch_up(scanner)
    assert_is_the_chains(chain)


def test_a_node_that_answers_nonsense_one_time_in_four(chain, make_scanner, monkeypatch):
    many(chain)
    dice = random.Random(3)
    monkeypatch.setattr(scanner_recovery, "PAUSE", 0.0)

    class Drunk(Node):
        def _post(self, body):
            match dice.randrange(16):
                case 0:
                    raise Unavailable("no connection")
                case 1:
                    return b"<html>bad gateway</html>"
                case 2:
                    return b'{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"rate limit exceeded"}}'
                case 3:
                    return b"[]"
            return super()._post(body)

    scanner = make_scanner([Drunk(chain.url), Drunk(chain.url)])
    catch_up(scanner)
    assert_is_the_chains(chain)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (refusal(-32005, "query returned more than 10000 results"), TooMuch),
        (refusal(-32005, "daily request count exceeded, request rate limited"), Unavailable),
        (refusal(429, "Your app has exceeded its compute units per second capacity"), Unavailable),
        (refusal(-32000, "unknown block"), Lagging),
        (refusal(3, "execution reverted: no"), evm.Refused),
        (refusal(-32603, "internal error"), Unavailable),
    ],
)
def test_refusals_are_told_apart(chain, told, kind):
    node = Faulty(chain.url, lambda *_: told)
    with pytest.raises(kind):
        node.latest()


def test_addresses_are_shown_without_their_keys():
    node = Node("https://user:secret@node.example:8443/v3/0123456789abcdef?key=1")
    assert node.name == "https://node.example:8443"
    with pytest.raises(Unavailable) as told:
        Node("http://127.0.0.1:9/v3/0123456789abcdef").latest()
    assert "0123456789abcdef" not in str(told.value)


def test_a_database_connection_that_is_cut_costs_nothing(chain, make_scanner):
    scanner = make_scanner()
    chain.create()
    catch_up(scanner)
    chain.create(user=1)
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    name = connection.settings_dict["NAME"]
    with psycopg.connect(psycopg.conninfo.make_conninfo(django_settings.DATABASE_URL, dbname=name)) as other:
        assert other.execute("SELECT pg_terminate_backend(%s)", [pid]).fetchone()[0]
    assert scanner.guarded_round() == scanner_module.POLL
    assert scanner.cursor is None  # and the lease with it
    catch_up(scanner)
    assert_is_the_chains(chain)
