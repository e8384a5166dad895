"""How health is told."""

from rest_framework import serializers

from api.serializers.common import Answer

STATUSES = ("healthy", "degraded", "unhealthy", "stopped", "off", "unknown")


class Server(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES)
    latency = serializers.FloatField(allow_null=True, help_text="Milliseconds; null: it did not answer.")


class Websockets(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES)
    active = serializers.IntegerField(help_text="Connections to the exchange.")
    clients = serializers.IntegerField(help_text="Connections of clients.")


class CollectorPart(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES, help_text="stopped: on purpose, which leaves the whole healthy.")
    lastMinute = serializers.IntegerField(allow_null=True, help_text="Newest stored minute, epoch milliseconds.")
    lagSeconds = serializers.FloatField(allow_null=True, help_text="Since the newest stored minute began.")
    symbols = serializers.IntegerField(allow_null=True, help_text="Symbols that are collected.")
    partial = serializers.BooleanField(
        allow_null=True,
        help_text="A book of the last minute that is over is missing; more than a tenth degrade. null: none is over.",
    )


class Process(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES, help_text="degraded: alive, but idle for too long.")
    processes = serializers.IntegerField(required=False, help_text="How many are alive.")
    lastTask = serializers.IntegerField(required=False, allow_null=True, help_text="Epoch milliseconds.")


class FeedPart(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES, help_text="degraded: a live book is not known to be right.")
    processes = serializers.IntegerField(allow_null=True, help_text="How many are alive.")
    connections = serializers.IntegerField(allow_null=True, help_text="To the exchange, that are up.")
    books = serializers.IntegerField(allow_null=True, help_text="That are followed.")
    synced = serializers.IntegerField(allow_null=True, help_text="That are known to be right.")


class EventsPart(serializers.Serializer):
    """Trades, mark prices and liquidations on their way to the database."""

    status = serializers.ChoiceField(STATUSES, help_text="degraded: they are late, or missing trades wait; off: none.")
    rate = serializers.FloatField(allow_null=True, help_text="Accepted a second.")
    waiting = serializers.IntegerField(allow_null=True, help_text="In memory.")
    dropped = serializers.IntegerField(allow_null=True, help_text="Since the feeds' start.")
    lagSeconds = serializers.FloatField(allow_null=True, help_text="From event to stored, the longest of late.")
    openGaps = serializers.IntegerField(allow_null=True, help_text="Ranges of trades that are to be fetched.")
    missingTrades = serializers.IntegerField(allow_null=True, help_text="In these.")
    lostTrades = serializers.IntegerField(allow_null=True, help_text="That the exchange has no longer.")


class SpoolPart(serializers.Serializer):
    status = serializers.ChoiceField(STATUSES, help_text="degraded: something waits; unhealthy: it is full.")
    bytes = serializers.IntegerField(help_text="That wait on disk for the database, over all machines.")
    batches = serializers.IntegerField()
    limit = serializers.IntegerField(help_text="Bytes that may wait.")
    oldest = serializers.IntegerField(allow_null=True, help_text="When the oldest came, epoch milliseconds.")


class ScannerPart(serializers.Serializer):
    status = serializers.ChoiceField(
        STATUSES, help_text="off: no chain is configured; degraded: blocks wait to be read, or its nodes fail."
    )
    mode = serializers.CharField(allow_null=True, help_text="recovering, live, waiting (for its node) or stopped.")
    headBlock = serializers.IntegerField(allow_null=True)
    headTime = serializers.IntegerField(allow_null=True, help_text="Of the head block, epoch milliseconds.")
    scannedBlock = serializers.IntegerField(allow_null=True, help_text="The last one whose events are stored.")
    lag = serializers.IntegerField(allow_null=True, help_text="Blocks that could be read and are not.")
    reorgs = serializers.IntegerField(allow_null=True)
    anomalies = serializers.IntegerField(allow_null=True, help_text="Events that were refused.")
    provider = serializers.CharField(allow_null=True)
    updatedAt = serializers.IntegerField(allow_null=True, help_text="Its last sign of life, epoch milliseconds.")


class Components(serializers.Serializer):
    database = Server()
    redis = Server()
    websockets = Websockets()
    collector = CollectorPart()
    worker = Process()
    beat = Process()
    feed = FeedPart()
    events = EventsPart()
    scanner = ScannerPart()
    spool = SpoolPart()


class HealthAnswer(Answer):
    status = serializers.ChoiceField(("healthy", "degraded", "unhealthy"))
    timestamp = serializers.IntegerField(help_text="Epoch milliseconds.")
    uptime = serializers.FloatField(help_text="Seconds since this web process began.")
    components = Components()
    storage = serializers.ChoiceField(("timescaledb", "postgresql"), allow_null=True)
