"""DEX orders: what may be asked of them, and what is answered."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.serializers.common import Answer
from api.serializers.fields import MomentField, Query, WordField
from dex.addresses import read_address, read_pair
from dex.events import EventType, Status

LARGEST_ID = 2**256 - 1
STATUS_WORDS = [str(status).lower() for status in Status]
ADDRESS_SCHEMA = {"type": "string", "pattern": "^0x([0-9a-f]{40}|[0-9A-F]{40})$"}
PAIR_SCHEMA = {"type": "string", "pattern": "^0x[0-9a-f]{40}/0x[0-9a-f]{40}$"}


@extend_schema_field(ADDRESS_SCHEMA)
class AddressField(serializers.CharField):
    def to_internal_value(self, data: Any) -> str:
        try:
            return read_address(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


@extend_schema_field(PAIR_SCHEMA)
class PairField(serializers.CharField):
    """Two addresses with a stroke between them."""

    def to_internal_value(self, data: Any) -> tuple[str, str]:
        try:
            return read_pair(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class OrdersQuery(Query):
    limit = serializers.IntegerField(default=100, min_value=1, max_value=1000)
    offset = serializers.IntegerField(default=0, min_value=0, max_value=1_000_000)
    token = AddressField(required=False, help_text="On either side.")
    token_in = AddressField(required=False, help_text="What is sold; the zero address is the chain's own coin.")
    token_out = AddressField(required=False, help_text="What is bought.")
    pair = PairField(required=False, help_text="Two addresses with / between them, in either order.")
    to = MomentField(required=False, help_text="End, included. Forms as for `from`.")

    def get_fields(self) -> dict[str, serializers.Field]:
        text = "Beginning, included, of the time at which orders came into their status."
        return {**super().get_fields(), "from": MomentField(required=False, help_text=text)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start: datetime | None = attrs.get("from")
        end: datetime | None = attrs.get("to")
        if start and end and start > end:
            raise serializers.ValidationError({"from": "must not be after to"})
        return attrs


class OrdersFileQuery(OrdersQuery):
    """Files of orders hold all that there are: no limit, no offset."""

    user = AddressField(required=False, help_text="Orders of one user.")
    status = WordField(STATUS_WORDS, required=False, help_text="Of orders, any case; without it all of them.")
    format = WordField(["csv", "json", "parquet"], required=False, default="csv")
    limit = None
    offset = None


class UserOrdersQuery(OrdersQuery):
    status = WordField(STATUS_WORDS, required=False, help_text="Any case; without it all of them.")


class OrderEntry(serializers.Serializer):
    """Times are ISO 8601. Amounts are exact, in whole tokens; null where the token does not tell its decimals."""

    id = serializers.IntegerField(help_text="The contract's number of it.")
    user_address = serializers.CharField()
    token_in = serializers.CharField(help_text="What is sold; the zero address is the chain's own coin.")
    token_out = serializers.CharField()
    amount_in = serializers.CharField(allow_null=True)
    target_price = serializers.CharField(help_text="Whole tokens out for one whole token in.")
    order_type = serializers.CharField(help_text="LIMIT fills at the target price or above, STOP at or below it.")
    status = serializers.ChoiceField([str(status) for status in Status])
    created_at = serializers.CharField()
    executed_at = serializers.CharField(allow_null=True)
    cancelled_at = serializers.CharField(allow_null=True)
    amount_out = serializers.CharField(allow_null=True, help_text="What an executed order has brought.")
    tx_hash = serializers.CharField(help_text="Transaction of the creation.")
    token_in_symbol = serializers.CharField(allow_null=True)
    token_out_symbol = serializers.CharField(allow_null=True)
    amount_in_raw = serializers.CharField(help_text="In the token's smallest unit.")
    amount_out_raw = serializers.CharField(allow_null=True)
    current_price = serializers.CharField(allow_null=True, help_text="The router's for this amount at `quoted_at`.")
    distance_percent = serializers.FloatField(
        allow_null=True, help_text="How far that price has to move to the target; above zero: it has to rise."
    )
    quoted_at = serializers.CharField(allow_null=True)


class OrderAnswer(Answer, OrderEntry):
    pass


class OrdersAnswer(Answer):
    orders = OrderEntry(many=True, help_text="The newest change first.")
    total = serializers.IntegerField(help_text="How many there are, whatever limit and offset.")
    limit = serializers.IntegerField()
    offset = serializers.IntegerField()


class EventEntry(serializers.Serializer):
    order_id = serializers.IntegerField()
    event_type = serializers.ChoiceField([str(kind) for kind in EventType])
    old_status = serializers.CharField(allow_null=True, help_text="null: there was no order.")
    new_status = serializers.CharField(allow_null=True)
    timestamp = serializers.IntegerField(help_text="Of the block, epoch milliseconds.")
    block_number = serializers.IntegerField()
    block_hash = serializers.CharField()
    tx_hash = serializers.CharField()
    log_index = serializers.IntegerField()
    amount_in = serializers.CharField(allow_null=True)
    amount_out = serializers.CharField(allow_null=True)
    anomaly = serializers.CharField(allow_null=True, help_text="Why the event was refused; null: it was not.")
    orphaned = serializers.BooleanField(help_text="Its block is no longer part of the chain; it has no effect.")


class EventsAnswer(Answer):
    order_id = serializers.IntegerField()
    events = EventEntry(many=True, help_text="Oldest first, the newest 1000 at most.")
    count = serializers.IntegerField()


class VolumeEntry(serializers.Serializer):
    token = serializers.CharField(help_text="What is sold.")
    symbol = serializers.CharField(allow_null=True)
    orders = serializers.IntegerField()
    amount_in = serializers.CharField(allow_null=True, help_text="Of all orders, in whole tokens.")
    executed_orders = serializers.IntegerField()
    executed_amount_in = serializers.CharField(allow_null=True)


class StatisticsAnswer(Answer):
    total = serializers.IntegerField()
    pending = serializers.IntegerField()
    executed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    users = serializers.IntegerField()
    volumes = VolumeEntry(many=True, help_text="By the token that is sold, most orders first, a hundred at most.")
    refused_events = serializers.IntegerField(help_text="Events that contradict an order's state, or cannot be read.")
    reorgs = serializers.IntegerField()
    chain_id = serializers.IntegerField(allow_null=True, help_text="null: no chain was ever read.")
    contract = serializers.CharField(allow_null=True)
    block = serializers.IntegerField(allow_null=True, help_text="The last one whose events are counted.")
    timestamp = serializers.IntegerField(help_text="Epoch milliseconds.")
