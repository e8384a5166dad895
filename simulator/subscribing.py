"""Between a client's WebSocket and its subscriptions: a request's text in, what it asks for out. Pure."""

from typing import Any

import msgspec

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_LONGEST_ID = 36


class Refused(Exception):
    """A request that is answered with an error; the connection stays."""

    def __init__(self, code: int, message: str, request_id: int | str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.request_id = code, message, request_id

    def body(self) -> bytes:
        error = {"code": self.code, "msg": self.message}
        return msgspec.json.encode({"error": error, "id": self.request_id} if self.request_id is not None
                                   else {"error": error})  # fmt: skip


class Request(msgspec.Struct, frozen=True):
    """`params` are names of streams for the first two methods, else a property's name and value."""

    method: str
    params: list[Any]
    id: int | str | None


def _invalid(message: str, request_id: int | str | None = None) -> Refused:
    return Refused(2, f"Invalid request: {message}", request_id)


def _request_id(body: dict[str, Any]) -> int | str | None:
    found = body.get("id")
    if isinstance(found, bool) or not (found is None or isinstance(found, int | str)):
        raise _invalid("request ID must be an unsigned integer")
    if isinstance(found, str) and len(found) > _LONGEST_ID:
        raise _invalid("request ID must be at most 36 characters")
    return found


def parse(text: str | bytes) -> Request:
    """Raises Refused."""
    try:
        body = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(body, dict):
        raise _invalid("expected a JSON object")
    request_id = _request_id(body)
    method = body.get("method")
    if method is None:
        raise _invalid("missing field `method` at line 1 column 1", request_id)
    if method not in METHODS:
        known = ", ".join(f"`{one}`" for one in METHODS)
        raise _invalid(f"unknown variant `{method}`, expected one of {known} at line 1 column 1", request_id)
    params = body.get("params", [])
    if not isinstance(params, list):
        raise _invalid("expected an array of params", request_id)
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        if not params:
            raise _invalid("missing field `params`", request_id)
        if any(not isinstance(name, str) for name in params):
            raise _invalid("stream name must be a string", request_id)
    return Request(method, params, request_id)


def result(request: Request, value: Any = None) -> bytes:
    return msgspec.json.encode({"result": value, "id": request.id})


def combined_asked(request: Request) -> bool | None:
    """What SET_PROPERTY sets the property `combined` to; None for GET_PROPERTY. Raises Refused."""
    wanted = 2 if request.method == "SET_PROPERTY" else 1
    if len(request.params) != wanted:
        raise _invalid("too many parameters" if len(request.params) > wanted else "missing parameters", request.id)
    if not isinstance(request.params[0], str):
        raise _invalid("property name must be a string", request.id)
    if request.params[0] != "combined":
        raise Refused(0, "Unknown property", request.id)
    if wanted == 1:
        return None
    if not isinstance(request.params[1], bool):
        raise Refused(1, "Invalid value type: expected Boolean", request.id)
    return request.params[1]
