"""GET health: open to everybody, never limited, and answered even when nothing else is."""

from time import time

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from psutil import Process
from rest_framework.request import Request
from rest_framework.response import Response

from api.health import check
from api.schema import MEANINGS
from api.serializers.common import Error
from api.serializers.health import HealthAnswer
from api.throttling import HealthRate
from api.times import epoch_ms
from api.views.base import ApiView

BEGUN = Process().create_time()


class HealthView(ApiView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (HealthRate,)

    @extend_schema(
        summary="Whether the platform works",
        responses={
            200: OpenApiResponse(HealthAnswer, "Healthy or degraded."),
            406: OpenApiResponse(Error, MEANINGS[406]),
            500: OpenApiResponse(Error, MEANINGS[500]),
            503: OpenApiResponse(HealthAnswer, "Unhealthy: the database does not answer."),
        },
        auth=[],
    )
    def get(self, request: Request) -> Response:
        now = timezone.now()
        found = check(now)
        unhealthy = found.status == "unhealthy"
        return Response(
            {
                "success": not unhealthy,
                "status": found.status,
                "timestamp": epoch_ms(now),
                "uptime": round(time() - BEGUN, 1),
                "components": found.components,
                "storage": found.storage,
            },
            status=503 if unhealthy else 200,
            headers={"Retry-After": "5"} if unhealthy else None,
        )
