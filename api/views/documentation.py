"""GET schema and docs: the API in OpenAPI, and its page."""

from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.views.base import ApiView, FirstRenderer


@cache
def openapi() -> dict[str, Any]:
    """The description of every resource; made once, since the code does not change while it runs."""
    from api.urls import described

    return SchemaGenerator(patterns=described).get_schema(request=None, public=True)


class SchemaView(ApiView):
    """JSON unless the client asks for YAML."""

    schema = None
    renderer_classes = (OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer, OpenApiYamlRenderer2)

    def get(self, request: Request) -> Response:
        return Response(openapi())


class DocsView(ApiView, SpectacularSwaggerSplitView):
    """The page takes its script from its own address, so that no script stands in it."""

    schema = None
    url = "/api/v1/schema"
    template_name = "api/docs.html"
    renderer_classes = [TemplateHTMLRenderer]
    content_negotiation_class = FirstRenderer
