"""Where chains come in: JSON-RPC over HTTP to one node of an EVM chain. The only place that talks to nodes.

Answers go straight into typed structs: web3.py's formatters cost ten times as much, and its middleware hides which node
has said what. A node is safe for many threads; each has a session of its own."""

import re
import threading
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
from requests.utils import get_environ_proxies

from dex.chain import Block, Log

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 20.0
LARGEST_BATCH = 100
T = TypeVar("T")
Question = tuple[str, list[Any]]

# Said by nodes and hosts when a range of logs is more than they give: geth, Erigon, Infura, Alchemy, QuickNode, Ankr.
_TOO_MUCH = re.compile(
    r"more than \d+ (results|logs)|too many (results|logs)|(block )?range.{0,40}(large|wide|exceed|limit|greater|up to)"
    r"|exceed.{0,30}(range|block)|response size|size exceeded|max results|query timeout|timed? ?out|limit exceeded",
    re.IGNORECASE,
)
_RATE = re.compile(r"rate|request count|too many requests|compute units|capacity|quota|throttl", re.IGNORECASE)
_UNKNOWN = re.compile(r"unknown block|header not found|block not found|missing trie|not available", re.IGNORECASE)


class ChainError(Exception):
    """A question that brought no answer to rely on; another node, or the same one later, may do better."""


class Unavailable(ChainError):
    """The node cannot be reached, answers nonsense, or refuses for now."""


class TooMuch(ChainError):
    """The answer would be larger than the node gives: ask for less."""


class Lagging(ChainError):
    """The node does not know a block that it should: it is behind."""


class Contradiction(ChainError):
    """Answers of one node that cannot all be true: it changed its mind between them."""


class Refused(ChainError):
    """The chain itself says no: a call was reverted."""


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class Node:
    """One node by its HTTP address. `name` is the address without path and credentials, fit to be shown."""

    def __init__(self, url: str, timeout: float = READ_TIMEOUT) -> None:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        self.name = f"{parts.scheme}://{parts.hostname}{port}"
        self._url, self._timeout = url, timeout
        self._proxies = get_environ_proxies(url)
        self._local = threading.local()
        self._batches = True

    def chain_id(self) -> int:
        return int(self.ask("eth_chainId", [], str), 16)

    def latest(self) -> Block:
        return self.ask("eth_getBlockByNumber", ["latest", False], Block)

    def blocks(self, numbers: Sequence[int]) -> list[Block | None]:
        """Headers in the order of `numbers`; None for those that the node does not have."""
        questions: list[Question] = [("eth_getBlockByNumber", [hex(number), False]) for number in numbers]
        return [_decoded(answer, Block | None) for answer in self.batch(questions)]

    def logs_in(self, block_hash: str, address: str, topics: Sequence[str]) -> list[Log]:
        """Logs of one very block. Raises Lagging where the node does not have it."""
        wanted = {"blockHash": block_hash, "address": address, "topics": [list(topics)]}
        return self.ask("eth_getLogs", [wanted], list[Log])

    def range_with_logs(
        self, first: int, last: int, address: str, topics: Sequence[str]
    ) -> tuple[list[Block | None], list[Log], Block | None]:
        """The headers before `first` (block 0 for block 0) and of `last`, the logs between, and `last` asked once more
        after them."""
        questions: list[Question] = [
            ("eth_getBlockByNumber", [hex(max(0, first - 1)), False]),
            ("eth_getBlockByNumber", [hex(last), False]),
            logs_question(first, last, address, topics),
            ("eth_getBlockByNumber", [hex(last), False]),
        ]
        *headers, logs, again = self.batch(questions)
        found = [_decoded(header, Block | None) for header in headers]
        return found, _decoded(logs, list[Log]), _decoded(again, Block | None)

    def blocks_with_logs(
        self, first: int, last: int, address: str, topics: Sequence[str]
    ) -> tuple[list[Block | None], list[Log]]:
        """Every header from `first` to `last`, and the logs of them."""
        headers: list[Question] = [("eth_getBlockByNumber", [hex(at), False]) for at in range(first, last + 1)]
        logs, *found = self.batch([logs_question(first, last, address, topics), *headers])
        return [_decoded(header, Block | None) for header in found], _decoded(logs, list[Log])

    def calls(self, wanted: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """What contracts answer to (address, data); None for a call that is reverted. Raises for everything else."""
        questions: list[Question] = [("eth_call", [{"to": to, "data": data}, "latest"]) for to, data in wanted]
        return [_outcome(answer) for answer in self.batch(questions)]

    def ask(self, method: str, parameters: list[Any], kind: type[T]) -> T:
        """One question. Raises a ChainError."""
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        return _decoded(_read(self._post(body), _Answer), kind)

    def batch(self, questions: Sequence[Question]) -> list[_Answer]:
        """Answers in the order of the questions, errors among them; one by one where the node takes no batches."""
        found: list[_Answer] = []
        for start in range(0, len(questions), LARGEST_BATCH):
            found += self._batch(questions[start : start + LARGEST_BATCH])
        return found

    def _batch(self, questions: Sequence[Question]) -> list[_Answer]:
        asked = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            for number, (method, parameters) in enumerate(questions)
        ]
        if self._batches and len(asked) > 1:
            body = self._post(msgspec.json.encode(asked))
            if body.lstrip().startswith(b"["):
                by_id = {answer.id: answer for answer in _read(body, list[_Answer])}
                if set(by_id) >= set(range(len(asked))):
                    return [by_id[number] for number in range(len(asked))]
                raise next((_error(one) for one in by_id.values() if one.error), Unavailable("answers are missing"))
            single = _error(_read(body, _Answer))
            if isinstance(single, TooMuch) or _RATE.search(str(single)):
                raise single
            self._batches = False
        return [_read(self._post(msgspec.json.encode(one)), _Answer) for one in asked]

    def _post(self, body: bytes) -> bytes:
        try:
            answer = self._session().post(
                self._url, data=body, timeout=(CONNECT_TIMEOUT, self._timeout), allow_redirects=False
            )
        except requests.RequestException as error:
            raise Unavailable(_reason(error)) from error
        if answer.status_code == 413:
            raise TooMuch("HTTP 413")
        if answer.status_code != 200:
            # Nodes and hosts tell some errors by a status of HTTP, with the usual body.
            try:
                raise _error(msgspec.json.decode(answer.content, type=_Answer))
            except msgspec.MsgspecError:
                raise Unavailable(f"HTTP {answer.status_code}") from None
        return answer.content

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # else the environment and .netrc are read at each request
            session.proxies.update(self._proxies)
            session.headers.update({"Content-Type": "application/json", "User-Agent": "trading-platform"})
        return session


def logs_question(first: int, last: int, address: str, topics: Sequence[str]) -> Question:
    wanted = {"fromBlock": hex(first), "toBlock": hex(last), "address": address, "topics": [list(topics)]}
    return ("eth_getLogs", [wanted])


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"an answer that cannot be read: {error}") from error


def _decoded(answer: _Answer, kind: Any) -> Any:
    if answer.error is not None:
        raise _error(answer)
    return _read(bytes(answer.result), kind)


def _outcome(answer: _Answer) -> bytes | None:
    """The bytes of an eth_call, None when it was reverted."""
    try:
        return bytes.fromhex(_decoded(answer, str).removeprefix("0x"))
    except Refused:
        return None


def _error(answer: _Answer) -> ChainError:
    code, text = (answer.error.code, answer.error.message) if answer.error else (0, "no answer")
    told = f"{text or 'error'} ({code})"[:200]
    if code == 3 or "revert" in text.lower() or "invalid opcode" in text.lower():
        return Refused(told)
    if _UNKNOWN.search(text):
        return Lagging(told)
    if code != 429 and not _RATE.search(text) and _TOO_MUCH.search(text):
        return TooMuch(told)
    return Unavailable(told)


def _reason(error: requests.RequestException) -> str:
    """What went wrong, without the address: it may hold a key."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "no connection" if isinstance(error, requests.ConnectionError) else type(error).__name__
