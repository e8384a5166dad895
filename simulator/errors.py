"""What the simulated exchange says when it refuses: its codes, messages and HTTP statuses."""

import msgspec


class ApiError(Exception):
    """A refusal: HTTP status, the exchange's code and its message."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def body(self) -> bytes:
        return msgspec.json.encode({"code": self.code, "msg": self.message})


def invalid_symbol() -> ApiError:
    return ApiError(-1121, "Invalid symbol.")


def invalid_interval() -> ApiError:
    return ApiError(-1120, "Invalid interval.")


def missing(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def empty(name: str) -> ApiError:
    return ApiError(-1105, f"Parameter '{name}' was empty.")


def illegal(name: str, pattern: str) -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def not_valid(name: str) -> ApiError:
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def bad_combination() -> ApiError:
    return ApiError(-1128, "Combination of optional parameters invalid.")


def unread(read: int, sent: int) -> ApiError:
    return ApiError(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def invalid_depth_limit(limit: int) -> ApiError:
    return ApiError(-4021, f"{limit} is not valid depth limit.")


def start_after_end() -> ApiError:
    return ApiError(-1023, "Start time is greater than end time.")


def more_than_an_hour() -> ApiError:
    return ApiError(-1127, "More than 1 hours between startTime and endTime.")
