"""What the registry refuses: names that it does not know, and names that are not collected."""


class UnknownSymbol(Exception):
    """The registry does not know this name. `name` is the name as it was asked for."""

    def __init__(self, name: str, message: str = "") -> None:
        super().__init__(message or f"Unknown symbol {name}")
        self.name = name


class NotCollectable(UnknownSymbol):
    """The registry knows the name, but it trades nowhere or in a quote asset that is not collected."""


class NotCollected(Exception):
    """The symbol is known, but not collected, or not listed on that market. `market` is None for any market."""

    def __init__(self, name: str, market: str | None = None) -> None:
        super().__init__(f"{name} is not collected" + (f" on {market}" if market else ""))
        self.name = name
        self.market = market
