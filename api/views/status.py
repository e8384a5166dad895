"""GET status: the whole platform at one moment, for the status page and for whoever watches it."""

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.schema import operation
from api.serializers.status import StatusAnswer
from api.status import platform
from api.views.base import ApiView


class StatusView(ApiView):
    @operation("The whole platform at one moment", StatusAnswer)
    def get(self, request: Request) -> Response:
        return Response({"success": True, **platform(timezone.now())})
