"""On the way out of every page: what a browser may load and run for it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = {
    "default-src": "'self'",
    "img-src": "'self' data: blob:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# The API's documentation page brings a style element of its own; scripts stay as strict as everywhere.
DOCS = POLICY | {"style-src": "'self' 'unsafe-inline'"}


def _text(policy: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in policy.items())


STRICT_POLICY, DOCS_POLICY = _text(POLICY), _text(DOCS)


class ContentSecurityPolicyMiddleware:
    """Own scripts, styles and connections only, none of them inline; a view's own policy is left alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        docs = request.path.startswith("/api/") and request.path.rstrip("/").endswith("/docs")
        response.headers.setdefault("Content-Security-Policy", DOCS_POLICY if docs else STRICT_POLICY)
        return response
