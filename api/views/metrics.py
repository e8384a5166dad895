"""GET /metrics: the platform's figures as Prometheus reads them."""

from django.http import HttpResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework.request import Request

from api.metrics import exposition
from api.throttling import HealthRate
from api.views.base import ApiView, FirstRenderer


class MetricsView(ApiView):
    schema = None
    throttle_classes = (HealthRate,)
    content_negotiation_class = FirstRenderer

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
