"""Beside the chains: one of our own for the demo, the tests and the measurements; anvil, with our contracts on it.

Standard library and the RPC client only. Its accounts are anvil's well-known ones: they are worth nothing anywhere."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from collector.chains.anvil import CHAIN_ID, ORDERS, ROOT, ROUTER
from collector.chains.evm import ChainError, Node, Refused
from dex.chain import ZERO_ADDRESS

CONTRACTS = ROOT / "dex" / "contracts"
GAS = hex(3_000_000)
DEPLOYMENT_GAS = hex(5_000_000)
ENDLESS = 2**256 - 1
MINED_WITHIN = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class DemoToken:
    """A token of the demo: its symbol, decimals, and the asset of the simulated market whose price it follows."""

    symbol: str
    name: str
    decimals: int


TOKENS = (
    DemoToken("dUSDT", "Demo Tether", 6),
    DemoToken("dBTC", "Demo Bitcoin", 8),
    DemoToken("dSOL", "Demo Solana", 9),
    DemoToken("dLINK", "Demo Chainlink", 18),
)


@dataclass(frozen=True, slots=True)
class Contracts:
    """Where everything is; `tokens` by symbol."""

    router: str
    orders: str
    tokens: Mapping[str, str]


class DevChain:
    """The chain through its node: blocks, forks, contracts. Every call raises ChainError."""

    def __init__(self, url: str) -> None:
        self.node = Node(url)
        self.url = url

    def rpc(self, method: str, *parameters: Any) -> Any:
        return self.node.ask(method, list(parameters), Any)

    def answers(self) -> bool:
        try:
            return self.node.chain_id() == CHAIN_ID
        except ChainError:
            return False

    def wait(self, seconds: float) -> None:
        """Returns once the chain answers. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the chain at {self.node.name} does not answer")
            time.sleep(0.05)

    def accounts(self) -> list[str]:
        return [str(to_checksum_address(address)) for address in self.rpc("eth_accounts")]

    def mine(self, blocks: int = 1) -> None:
        self.rpc("anvil_mine", hex(blocks))

    def height(self) -> int:
        return self.node.latest().height

    def send(self, sender: str, to: str, signature: str, *values: Any, coin: int = 0) -> str:
        """A transaction that calls a contract, mined; gives its hash. Raises Refused where it is reverted."""
        data = call_data(signature, *values)
        tx_hash = self.send_raw({"from": sender, "to": to, "value": hex(coin), "data": data})
        self.receipt(tx_hash)
        return tx_hash

    def send_raw(self, transaction: Mapping[str, Any]) -> str:
        """A transaction that waits for its block; gives its hash."""
        return str(self.rpc("eth_sendTransaction", {"gas": GAS, **transaction}))

    def receipt(self, tx_hash: str) -> dict[str, Any]:
        """The receipt of a transaction once it is mined. Raises Refused for one that was reverted, or is not mined."""
        deadline = time.monotonic() + MINED_WITHIN
        while (found := self.rpc("eth_getTransactionReceipt", tx_hash)) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        if found is None or found["status"] != "0x1":
            raise Refused(f"{tx_hash} was not carried out")
        return dict(found)

    def call(self, to: str, signature: str, *values: Any, gives: Sequence[str] = ("uint256",)) -> Any:
        answer = self.node.ask("eth_call", [{"to": to, "data": call_data(signature, *values)}, "latest"], str)
        found = decode(list(gives), bytes.fromhex(answer[2:]))
        return found[0] if len(found) == 1 else found

    def deploy(self, name: str, sender: str, types: Sequence[str] = (), values: Sequence[Any] = ()) -> str:
        """Puts a contract of dex/contracts on the chain; gives its address."""
        code = artifact(name)["bytecode"] + encode(list(types), list(values)).hex()
        tx_hash = self.send_raw({"from": sender, "data": code, "gas": DEPLOYMENT_GAS})
        return str(to_checksum_address(self.receipt(tx_hash)["contractAddress"]))


def artifact(name: str) -> dict[str, Any]:
    """A compiled contract: `abi` and `bytecode`."""
    return dict(json.loads((CONTRACTS / f"{name}.json").read_text(encoding="utf-8")))


def call_data(signature: str, *values: Any) -> str:
    types = [part for part in signature.partition("(")[2].rstrip(")").split(",") if part]
    return "0x" + function_signature_to_4byte_selector(signature).hex() + encode(types, list(values)).hex()


def set_up(chain: DevChain, users: Sequence[str]) -> Contracts:
    """The contracts on a chain, with tokens for the router and for users; what an earlier run has left is kept. Raises
    ChainError, too where the first account has been used for something else."""
    owner = chain.accounts()[0]
    _provide(chain, owner, 0, "DemoRouter", (), ())
    _provide(chain, owner, 1, "TradingOrders", ("address",), (ROUTER,))
    for number, token in enumerate(TOKENS, start=2):
        words = (token.name, token.symbol, token.decimals)
        _provide(chain, owner, number, "DemoToken", ("string", "string", "uint8"), words)
    tokens = {token.symbol: created(owner, number) for number, token in enumerate(TOKENS, start=2)}
    if chain.rpc("eth_getBalance", ROUTER, "latest") == "0x0":
        chain.send_raw({"from": owner, "to": ROUTER, "value": hex(5_000 * 10**18)})
    for token in TOKENS:
        for holder, amount in ((ROUTER, 10**12), *((user, 10**9) for user in users)):
            _endow(chain, owner, tokens[token.symbol], holder, amount * 10**token.decimals)
    return Contracts(ROUTER, ORDERS, tokens | {"ETH": ZERO_ADDRESS})


def created(sender: str, nonce: int) -> str:
    """Where the contract is that `sender` deploys by its transaction of this number (below 128): the last twenty bytes
    of the Keccak-256 of both in RLP, Yellow Paper section 7."""
    encoded = b"\xd6\x94" + bytes.fromhex(sender[2:]) + bytes([nonce or 0x80])
    return str(to_checksum_address(keccak(encoded)[12:]))


def _provide(chain: DevChain, owner: str, nonce: int, name: str, types: Sequence[str], values: Sequence[Any]) -> None:
    place = created(owner, nonce)
    if chain.rpc("eth_getCode", place, "latest") == "0x" and chain.deploy(name, owner, types, values) != place:
        raise ChainError("the first account of the chain has been used for something else")


def _endow(chain: DevChain, owner: str, token: str, holder: str, amount: int) -> None:
    if chain.call(token, "balanceOf(address)", holder) == 0:
        chain.send(owner, token, "mint(address,uint256)", holder, amount)
    if holder != ROUTER and chain.call(token, "allowance(address,address)", holder, ORDERS) == 0:
        chain.send(holder, token, "approve(address,uint256)", ORDERS, ENDLESS)
