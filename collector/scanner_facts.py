"""Beside the scanner: what contracts answer when they are asked; tokens' names and decimals, a router's quotes."""

from collections.abc import Sequence

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import function_signature_to_4byte_selector

from collector.chains.evm import Node
from dex.chain import ZERO_ADDRESS
from dex.services import (
    Deployment,
    TokenFacts,
    WantedQuote,
    pending_quotes,
    store_quotes,
    store_tokens,
    unread_tokens,
)

MOST_QUOTES = 200  # in one round; those that were quoted longest ago come first


def selector(signature: str) -> str:
    return "0x" + function_signature_to_4byte_selector(signature).hex()


SYMBOL, NAME, DECIMALS = (selector(f"{name}()") for name in ("symbol", "name", "decimals"))
WRAPPED = selector("WETH()")
AMOUNTS_OUT = selector("getAmountsOut(uint256,address[])")


def read_tokens(node: Node, deployment: Deployment) -> None:
    """Asks tokens of orders for what is not known of them yet. Raises ChainError."""
    addresses = [address for address in unread_tokens(deployment) if address != ZERO_ADDRESS]
    if not addresses:
        return
    wanted = [(address, question) for address in addresses for question in (SYMBOL, NAME, DECIMALS)]
    answers = node.calls(wanted)
    facts = [
        TokenFacts(address, text(answers[at]), text(answers[at + 1]), small_number(answers[at + 2]))
        for at, address in zip(range(0, len(answers), 3), addresses, strict=True)
    ]
    store_tokens(deployment, facts)


def text(answer: bytes | None) -> str:
    """A token's own word, as `string` or, with older ones, as `bytes32`; without characters that cannot be shown."""
    if not answer:
        return ""
    try:
        found = decode(["string"], answer)[0] if len(answer) > 32 else answer.rstrip(b"\0").decode("utf-8", "replace")
    except (DecodingError, UnicodeDecodeError, OverflowError):
        return ""
    return "".join(letter for letter in found if letter.isprintable())[:80].strip()


def small_number(answer: bytes | None) -> int | None:
    """A number of decimals; None for an answer that is none, or that no token has."""
    if answer is None or len(answer) != 32:
        return None
    number = int.from_bytes(answer)
    return number if number <= 77 else None


def read_quotes(node: Node, deployment: Deployment, router: str) -> None:
    """Asks the router what it would give for each pending order. Raises ChainError."""
    wanted = pending_quotes(deployment, MOST_QUOTES)
    if wanted:
        wrapped = _wrapped(node, router) if any(ZERO_ADDRESS in (one.token_in, one.token_out) for one in wanted) else ""
        store_quotes(deployment, list(zip(wanted, quotes(node, router, wanted, wrapped), strict=True)))


def quotes(node: Node, router: str, wanted: Sequence[WantedQuote], wrapped: str) -> list[int | None]:
    """Amounts out; None for a swap that the router refuses. `wrapped` stands for the coin in its paths."""
    calls = [(router, _question(one, wrapped)) for one in wanted]
    return [_last_amount(answer) for answer in node.calls(calls)]


def _wrapped(node: Node, router: str) -> str:
    answer = node.calls([(router, WRAPPED)])[0]
    return "0x" + answer[12:].hex() if answer and len(answer) == 32 else ZERO_ADDRESS


def _question(one: WantedQuote, wrapped: str) -> str:
    path = [wrapped if token == ZERO_ADDRESS else token for token in (one.token_in, one.token_out)]
    return AMOUNTS_OUT + encode(["uint256", "address[]"], [one.amount_in, path]).hex()


def _last_amount(answer: bytes | None) -> int | None:
    try:
        return int(decode(["uint256[]"], answer)[0][-1]) if answer else None
    except (DecodingError, IndexError):
        return None
