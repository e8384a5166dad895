"""Chains that change their minds: what is stored follows, and remembers what it has followed."""

import pytest

from dex import services
from dex.models import Order, OrderEvent, ProcessedEvent, SystemState
from dex.selectors import statistics
from tests.dex.conftest import assert_is_the_chains, catch_up

pytestmark = pytest.mark.usefixtures("clean")


def history(chain, blocks):
    """Blocks with an event each: orders that are created, executed and cancelled."""
    for number in range(blocks):
        match number % 3:
            case 0:
                chain.create(user=number % 2, price=1)
            case 1:
                chain.execute(chain.count())
            case 2:
                chain.create(user=2)
                chain.cancel(chain.count(), user=2)


@pytest.mark.parametrize("depth", range(1, 11))
def test_events_that_are_lost_have_no_effect(chain, make_scanner, depth):
    scanner = make_scanner()
    history(chain, 9)
    catch_up(scanner)
    chain.rpc("anvil_reorg", depth, [])
    catch_up(scanner)
    assert_is_the_chains(chain)
    state = SystemState.objects.get()
    assert (state.reorgs, state.deepest_reorg) == (1, depth)
    # Every one of the last blocks held one event; none of them is forgotten.
    assert ProcessedEvent.objects.filter(orphaned=True).count() == depth
    assert OrderEvent.objects.filter(orphaned=True).count() == depth
    chain.create()
    catch_up(scanner)
    assert_is_the_chains(chain)


@pytest.mark.parametrize("depth", [2, 5, 10])
def test_events_that_move_to_other_blocks_are_counted_once(chain, make_scanner, depth):
    scanner = make_scanner()
    history(chain, 9)
    catch_up(scanner)
    moved = [chain.rpc("eth_getTransactionByHash", one) for one in last_transactions(chain, depth)]
    # The same transactions, all in the last block of the new branch.
    again = [[raw_transaction(chain, one), depth - 1] for one in moved]
    chain.rpc("anvil_reorg", depth, again)
    catch_up(scanner)
    assert_is_the_chains(chain)
    hashes = list(OrderEvent.objects.filter(orphaned=False).values_list("tx_hash", flat=True))
    assert {one["hash"] for one in moved} <= set(hashes)
    assert OrderEvent.objects.filter(orphaned=True).count() == depth


def last_transactions(chain, blocks):
    head = chain.height()
    found = []
    for number in range(head - blocks + 1, head + 1):
        found += chain.rpc("eth_getBlockByNumber", hex(number), False)["transactions"]
    return found


def raw_transaction(chain, one):
    return chain.rpc("eth_getRawTransactionByHash", one["hash"])


def test_a_branch_may_be_shorter_and_grow_later(chain, make_scanner):
    scanner = make_scanner()
    history(chain, 3)
    catch_up(scanner)
    snapshot = chain.rpc("evm_snapshot")
    history(chain, 6)
    catch_up(scanner)
    assert chain.rpc("evm_revert", snapshot)
    chain.create(user=1)
    for _ in range(3):
        scanner.guarded_round()
    assert SystemState.objects.get().reorgs == 1
    assert_is_the_chains(chain)
    chain.mine(20)
    catch_up(scanner)
    assert_is_the_chains(chain)


def test_a_chain_that_begins_anew_is_read_anew(chain, make_scanner):
    scanner = make_scanner()
    history(chain, 6)
    chain.mine(100)
    catch_up(scanner)
    kept = Order.objects.count()
    chain.rewind()
    chain.create(user=2, amount=5)
    chain.mine(150)
    catch_up(scanner)
    assert_is_the_chains(chain)
    assert (kept > 1, Order.objects.count()) == (True, 1)


def test_a_reorganisation_while_nobody_watches_is_found_at_the_start(chain, make_scanner):
    catch_up(make_scanner())
    history(chain, 6)
    first = make_scanner()
    catch_up(first)
    chain.rpc("anvil_reorg", 5, [])
    chain.create(user=1)
    catch_up(make_scanner())
    assert_is_the_chains(chain)


def test_a_reorganisation_during_the_recovery(chain, make_scanner):
    history(chain, 6)
    scanner = make_scanner()
    catch_up(scanner)
    chain.rpc("anvil_reorg", 6, [])
    history(chain, 3)
    chain.mine(200)  # so far behind that ranges are read in parallel
    catch_up(scanner)
    assert_is_the_chains(chain)
    assert SystemState.objects.get().reorgs == 1


def test_a_block_that_comes_back_is_counted_once(chain, make_scanner):
    """The events of a branch that was left and is taken again."""
    scanner = make_scanner()
    history(chain, 3)
    catch_up(scanner)
    cursor = scanner.cursor
    scanner._take_back(services.known_hashes(scanner.deployment)[2])
    assert scanner.cursor != cursor
    assert OrderEvent.objects.filter(orphaned=True).exists()
    catch_up(scanner)
    assert_is_the_chains(chain)
    assert not OrderEvent.objects.filter(orphaned=True).exists()
    assert statistics().refused == 0
