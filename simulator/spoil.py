"""On the last piece of the simulated data's way: one message for one client, spoilt by the faults that it meets."""

import msgspec

from simulator.connections import Connection, Message
from simulator.faults import Fault, Faults


def deliver(connection: Connection, message: Message, symbol: str, faults: list[Fault], drawn: Faults) -> None:
    """Sends a message as often, as late and as whole as the faults leave it. The first that decides is the last."""
    for fault in faults:
        if not fault.on_connection(connection.market, connection.path, connection.number):
            continue
        if not fault.on_stream(message.name, symbol) or fault.count == 0 or not drawn.meets(fault):
            continue
        match fault.kind:
            case "drop" | "stall":
                connection.lost += 1
                return
            case "double":
                connection.send(message)
            case "reorder":
                if message.name not in connection.held:
                    connection.held[message.name] = message
                    return
            case "corrupt":
                message = _corrupted(message, fault.how or ("json", "types")[drawn.choose(2)])
        break
    connection.send(message)
    earlier = connection.held.pop(message.name, None)
    if earlier is not None:
        connection.send(earlier)


def _corrupted(message: Message, how: str) -> Message:
    """Half of a JSON text, or one whose numbers are texts and whose lists are numbers."""
    if how == "json":
        return Message(message.name, message.data[: len(message.data) // 2])
    body = msgspec.json.decode(message.data)
    if isinstance(body, list):
        return Message(message.name, b'{"e":7}')
    spoilt = {key: f"?{value}" if isinstance(value, int) else len(value) if isinstance(value, list | dict) else value
              for key, value in body.items()}  # fmt: skip
    return Message(message.name, msgspec.json.encode(spoilt))
