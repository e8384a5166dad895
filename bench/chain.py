"""For measurements only: a node of a synthetic chain, as fast as an answer can be made, in a process of its own."""

import argparse
import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from eth_abi import encode
from eth_utils.abi import event_abi_to_log_topic

from collector.chains import devchain
from collector.chains.anvil import ORDERS

ABI = devchain.artifact("TradingOrders")["abi"]
TOPICS = {one["name"]: "0x" + event_abi_to_log_topic(one).hex() for one in ABI if one["type"] == "event"}
TOKENS = ("0x" + "11" * 20, "0x" + "22" * 20)
GENESIS = 1_700_000_000
MOST = 10_000  # results in an answer


def digest(kind, number):
    return "0x" + hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


def header(number, head):
    if number > head:
        return None
    return {
        "number": hex(number),
        "hash": digest("block", number),
        "parentHash": digest("block", number - 1),
        "timestamp": hex(GENESIS + 12 * number),
        "transactions": [],
    }


def logs(first, last, every, head):
    """One event in every `every` blocks: two orders are created, then the first of them executed."""
    found = []
    for number in range(first + -first % every, min(last, head) + 1, every):
        turn, part = divmod(number // every, 3)
        order = 2 * turn + (1 if part == 2 else part + 1)
        user = f"0x{order % 97 + 1:040x}"
        indexed = [f"0x{order:064x}", "0x" + user[2:].rjust(64, "0")]
        if part == 2:
            name, values = "OrderExecuted", (*TOKENS, 10**6 * order, 7 * order)
            kinds = ("address", "address", "uint256", "uint256")
        else:
            name, values = "OrderCreated", (*TOKENS, 10**6 * order, 10**18, order % 2)
            kinds = ("address", "address", "uint256", "uint256", "uint8")
        found.append(
            {
                "address": ORDERS,
                "topics": [TOPICS[name], *indexed],
                "data": "0x" + encode(kinds, values).hex(),
                "blockNumber": hex(number),
                "blockHash": digest("block", number),
                "transactionHash": digest("tx", number),
                "transactionIndex": "0x0",
                "logIndex": "0x0",
                "blockTimestamp": hex(GENESIS + 12 * number),
                "removed": False,
            }
        )
    return found


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    head, every = 0, 1
    told: list[str] = []  # one event each, in the chain's order

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if isinstance(asked, list):
            body = "[" + ",".join(self.answer(one) for one in asked) + "]"
        else:
            body = self.answer(asked)
        raw = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def answer(self, one):
        method, parameters = one["method"], one["params"]
        if method == "eth_getLogs":
            first, last = (int(parameters[0][name], 16) for name in ("fromBlock", "toBlock"))
            if (last - first + 1) // self.every > MOST:
                error = {"code": -32005, "message": f"query returned more than {MOST} results"}
                return json.dumps({"jsonrpc": "2.0", "id": one["id"], "error": error})
            some = self.told[-(-first // self.every) : last // self.every + 1]
            return f'{{"jsonrpc":"2.0","id":{one["id"]},"result":[{",".join(some)}]}}'
        results = {
            "eth_chainId": lambda: hex(777),
            "eth_blockNumber": lambda: hex(self.head),
            "eth_getBlockByNumber": lambda: header(
                self.head if parameters[0] == "latest" else int(parameters[0], 16), self.head
            ),
            "eth_call": lambda: "0x",
        }
        return json.dumps({"jsonrpc": "2.0", "id": one["id"], "result": results[method]()})

    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, required=True)
    parser.add_argument("--every", type=int, default=2)
    arguments = parser.parse_args()
    Node.head, Node.every = arguments.blocks, arguments.every
    Node.told = [json.dumps(one) for one in logs(0, arguments.blocks, arguments.every, arguments.blocks)]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
