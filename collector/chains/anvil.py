"""Beside the chains: the program that runs one of our own, as npm installed it. Standard library only: it is asked
before anything else runs."""

import json
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHAIN_ID = 31337
# What the first account of every such chain deploys first, in this order, has these addresses.
ROUTER = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
ORDERS = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
# Of the demo's tokens, whose prices follow these assets; the zero address is the chain's own coin.
ASSETS = (
    "0x0000000000000000000000000000000000000000=ETH",
    "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0=USDT",
    "0xCf7Ed3AccA5a467e9e704C703E8D87F634fB0Fc9=BTC",
    "0xDc64a140Aa3E981100a9becA4E685f962f0cF6C9=SOL",
    "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707=LINK",
)
NEWEST = ("--transaction-block-keeper", "5000", "--prune-history", "100")


def anvil() -> Path | None:
    """The program for this machine; None where there is none."""
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, "")
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "")
    path = ROOT / "node_modules" / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / "anvil"
    return path if path.is_file() else None


def command(program: Path, port: int, state: Path | None = None) -> tuple[str, ...]:
    """The argv of a chain on loopback that makes a block for each transaction. `state` keeps it over restarts (a kill
    costs some minutes), and only its newest transactions, as the file and the memory would grow too fast."""
    kept = ("--state", str(state), "--state-interval", "300", *NEWEST) if state else ()
    return (str(program), "--host", "127.0.0.1", "--port", str(port), "--quiet", *kept)


def make_ready(state: Path) -> None:
    """Before each start: the folder is there, and a file that a kill has cut short is out of the way."""
    state.parent.mkdir(parents=True, exist_ok=True)
    try:
        json.loads(state.read_bytes())
    except FileNotFoundError:
        return
    except ValueError:
        state.replace(state.with_suffix(".broken"))
