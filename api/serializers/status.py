"""How the whole platform is told at one moment. Times are epoch milliseconds."""

from typing import Any

from rest_framework import serializers

from api.serializers.common import Answer
from api.serializers.health import STATUSES
from collector.models import StreamEvent
from markets.models import Market

STATES = ("whole", "partial", "missing", "stopped", "idle", "before")


class Component(serializers.Serializer):
    name = serializers.CharField()
    status = serializers.ChoiceField(STATUSES)
    level = serializers.ChoiceField(("green", "amber", "red"))
    since = serializers.IntegerField(help_text="When this status began, or when it was first seen.")
    sinceExact = serializers.BooleanField(help_text="false: it was already so when it was first seen.")
    latency = serializers.FloatField(allow_null=True, help_text="Milliseconds, of servers that answer.")
    processes = serializers.IntegerField(allow_null=True, help_text="How many are alive.")
    batches = serializers.IntegerField(allow_null=True, help_text="How many wait on disk for the database.")


class Cycle(serializers.Serializer):
    minute = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True, help_text="From its first request to its end.")
    expected = serializers.IntegerField(help_text="Order books that were to be read.")
    stored = serializers.IntegerField()
    failed = serializers.IntegerField()
    overrun = serializers.IntegerField(help_text="Not read because the minute was over.")
    rows = serializers.IntegerField()
    networkSeconds = serializers.FloatField()
    computeSeconds = serializers.FloatField()
    storeSeconds = serializers.FloatField()


class Collection(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES)
    running = serializers.BooleanField()
    changedAt = serializers.IntegerField(help_text="When it was last switched on or off.")
    changedBy = serializers.CharField()
    lastMinute = serializers.IntegerField(allow_null=True, help_text="Newest stored minute.")
    lagSeconds = serializers.FloatField(allow_null=True, help_text="Since the newest stored minute began.")
    symbols = serializers.IntegerField(allow_null=True, help_text="Collected symbols, each market's counted.")
    requests = serializers.IntegerField()
    failedRequests = serializers.IntegerField()
    lastCycle = Cycle(allow_null=True)


class Use(serializers.Serializer):
    used = serializers.IntegerField()
    limit = serializers.IntegerField()
    blockedUntil = serializers.IntegerField(allow_null=True)


class Weights(serializers.Serializer):
    spot = Use()
    futures = Use()


class Clock(serializers.Serializer):
    market = serializers.ChoiceField(Market.choices)
    offsetMs = serializers.IntegerField(allow_null=True, help_text="Exchange's clock minus ours.")
    checkedAt = serializers.IntegerField()


class BucketPart(serializers.Serializer):
    time = serializers.IntegerField()
    state = serializers.ChoiceField(STATES, help_text="The worst of its minutes.")
    expected = serializers.IntegerField(help_text="Order books.")
    stored = serializers.IntegerField(help_text="Order books.")
    missingMinutes = serializers.IntegerField(help_text="Minutes of which nothing is stored, though it should be.")


class DayPart(serializers.Serializer):
    bucketMinutes = serializers.IntegerField()
    expected = serializers.IntegerField(help_text="Order books, in 24 hours.")
    stored = serializers.IntegerField(help_text="Order books, in 24 hours.")
    partialMinutes = serializers.IntegerField()
    missingMinutes = serializers.IntegerField()
    buckets = BucketPart(many=True, help_text="Oldest first.")


class DayGap(serializers.Serializer):
    to = serializers.IntegerField(help_text="Not included.")
    state = serializers.ChoiceField(("partial", "missing", "stopped"))
    cause = serializers.CharField()
    books = serializers.IntegerField(allow_null=True, help_text="Order books that are missing; null: not counted.")

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.IntegerField(), **super().get_fields()}


class EventPart(serializers.Serializer):
    time = serializers.IntegerField()
    type = serializers.ChoiceField(StreamEvent.Type.choices)
    symbol = serializers.CharField(allow_blank=True)
    market = serializers.CharField(allow_blank=True)
    message = serializers.CharField(allow_blank=True)


class FailingSymbol(serializers.Serializer):
    symbol = serializers.CharField()
    market = serializers.ChoiceField(Market.choices)
    minutes = serializers.IntegerField(help_text="In a row.")
    lastMinute = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    errorAt = serializers.IntegerField(allow_null=True)


class ProcessPart(serializers.Serializer):
    name = serializers.CharField()
    host = serializers.CharField()
    pid = serializers.IntegerField()
    startedAt = serializers.IntegerField()
    at = serializers.IntegerField(help_text="Its last sign of life.")
    cpuPercent = serializers.FloatField(help_text="Of one core, with its children.")
    memoryBytes = serializers.IntegerField(help_text="With its children.")
    lastTask = serializers.IntegerField(allow_null=True)


class ConnectionPart(serializers.Serializer):
    id = serializers.CharField()
    market = serializers.CharField()
    state = serializers.ChoiceField(("connecting", "connected", "disconnected"))
    since = serializers.IntegerField()
    streams = serializers.IntegerField()
    silent = serializers.IntegerField(help_text="Streams over which nothing comes.")
    messagesPerSecond = serializers.FloatField()
    reconnects = serializers.IntegerField()
    uptimePercent = serializers.FloatField(help_text="Of the last day, or since the feed began.")


class LiveBookPart(serializers.Serializer):
    symbol = serializers.CharField()
    market = serializers.CharField()
    status = serializers.ChoiceField(("connected", "connecting", "stale", "disconnected", "off"))
    since = serializers.IntegerField()
    ageMs = serializers.IntegerField(allow_null=True, help_text="Since the exchange last told of it.")
    bidLevels = serializers.IntegerField()
    askLevels = serializers.IntegerField()
    bidPercent = serializers.FloatField(allow_null=True, help_text="Known so far from best bid; null: the whole side.")
    askPercent = serializers.FloatField(allow_null=True)
    resyncs = serializers.IntegerField()
    auditedAt = serializers.IntegerField(allow_null=True, help_text="Compared with the exchange; null: not yet.")
    auditPercent = serializers.FloatField(allow_null=True, help_text="Of the levels compared, equal ones.")


class FeedProcessPart(serializers.Serializer):
    pid = serializers.IntegerField()
    startedAt = serializers.IntegerField()
    at = serializers.IntegerField()
    messages = serializers.IntegerField(help_text="Since its start.")
    messagesPerSecond = serializers.FloatField()
    waiting = serializers.IntegerField(help_text="Messages whose turn has not come.")
    dropped = serializers.IntegerField(help_text="Messages dropped because it fell behind.")
    published = serializers.IntegerField(help_text="States since its start.")
    slowestMs = serializers.FloatField(help_text="From a message to its publication, the longest of two seconds.")
    snapshots = serializers.IntegerField()
    snapshotsFailed = serializers.IntegerField()
    minutesStored = serializers.IntegerField(help_text="Order books of minutes, since its start.")
    cpuPercent = serializers.FloatField(help_text="Of one core.")
    memoryBytes = serializers.IntegerField()
    connections = ConnectionPart(many=True)
    books = LiveBookPart(many=True)


class StoragePart(serializers.Serializer):
    name = serializers.ChoiceField(("timescaledb", "postgresql"), allow_null=True)
    version = serializers.CharField()
    timescaledb = serializers.CharField(allow_null=True, help_text="Its version.")
    bytes = serializers.IntegerField()
    oldest = serializers.IntegerField(allow_null=True, help_text="Oldest minute of which a book is kept.")
    newest = serializers.IntegerField(allow_null=True)


class PastPart(serializers.Serializer):
    until = serializers.IntegerField()
    done = serializers.IntegerField(help_text="Order books.")
    total = serializers.IntegerField(help_text="Order books.")
    finishedAt = serializers.IntegerField(allow_null=True)


class CachePart(serializers.Serializer):
    name = serializers.CharField(
        help_text="answers: of the API; recent, latest, series, history, periods: of the store."
    )
    hits = serializers.IntegerField()
    misses = serializers.IntegerField()
    hitPercent = serializers.FloatField()


class CandlesPart(serializers.Serializer):
    series = serializers.IntegerField()
    realtime = serializers.IntegerField(help_text="Series whose newest minute comes each minute.")
    failing = serializers.IntegerField(help_text="Series whose last request failed.")
    done = serializers.IntegerField(help_text="Minutes of history that are fetched, of all series.")
    total = serializers.IntegerField(help_text="Minutes of history that there are, as far as it is known.")
    candles = serializers.IntegerField(help_text="Stored minutes.")
    lackedMinutes = serializers.IntegerField(help_text="Minutes that the exchange itself does not have.")
    oldest = serializers.IntegerField(allow_null=True)
    newest = serializers.IntegerField(allow_null=True)


class StatusAnswer(Answer):
    timestamp = serializers.IntegerField()
    status = serializers.ChoiceField(("healthy", "degraded", "unhealthy"))
    components = Component(many=True)
    collection = Collection()
    weight = Weights()
    clocks = Clock(many=True)
    coverage = DayPart()
    gaps = DayGap(many=True, help_text="Of 24 hours, newest first.")
    events = EventPart(many=True, help_text="Newest first.")
    failing = FailingSymbol(many=True)
    processes = ProcessPart(many=True)
    candles = CandlesPart()
    feed = FeedProcessPart(many=True, help_text="Processes that keep live books.")
    cache = CachePart(many=True, help_text="What Redis answered, by what was asked.")
    storage = StoragePart()
    past = PastPart(allow_null=True, help_text="The simulated market's past; null where there is none to load.")
