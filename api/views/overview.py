"""GET overview: every collected symbol of a market at one band. Unchanged since the caller's own copy: 304."""

from django.http import HttpResponseNotModified
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from api.answers import kept
from api.schema import operation
from api.serializers.overview import OverviewAnswer, OverviewQuery
from api.views.base import ApiView
from depth.overview import default_band, overview, overview_state
from markets.models import Market


class OverviewView(ApiView):
    @operation("Every collected symbol of a market", OverviewAnswer, errors=[400], query=OverviewQuery)
    @kept  # for as long as no book of the market is stored: nothing live is in it
    def get(self, request: Request) -> Response | HttpResponseNotModified:
        asked = OverviewQuery.read(request)
        found = overview(asked.get("market", Market.SPOT), asked.get("depth", default_band()))
        headers = {"ETag": f'"{found.tag}"', "Cache-Control": "no-cache"}
        if headers["ETag"] in request.headers.get("If-None-Match", ""):
            return HttpResponseNotModified(headers=headers)
        return Response({"success": True, **overview_state(found, timezone.now())}, headers=headers)
