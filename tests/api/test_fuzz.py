"""Requests made from the API's own description, sensible and not: no answer may surprise its reader."""

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from api.models import Scope

CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
schema = schemathesis.openapi.from_wsgi("/api/v1/schema", get_wsgi_application())

bounded = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture
def credentials(key_client):
    return {"Authorization": key_client(*Scope.values)._credentials["HTTP_AUTHORIZATION"]}


@pytest.fixture
def _one_connection():
    """Requests share the test's transaction, as with Django's own test client."""
    for sign in (request_started, request_finished):
        sign.disconnect(close_old_connections)
    yield
    for sign in (request_started, request_finished):
        sign.connect(close_old_connections)


STORED = "depth|spot|futures|chart-data|snapshots|analytics|export|candles|price"


@pytest.mark.usefixtures("books", "_one_connection")
@schema.parametrize()
@bounded
def test_answers_are_as_described(case, credentials):
    case.call_and_validate(headers=credentials, excluded_checks=[positive_data_acceptance])


@pytest.mark.usefixtures("books", "_one_connection")
@schema.include(method="GET", path_regex=STORED).parametrize()
@bounded
def test_answers_about_what_is_stored_are_as_described(case, credentials):
    """Names at random are seldom known; these requests get as far as the data."""
    case.query = {**case.query, "symbol": "BTCUSDT"}
    case.call_and_validate(headers=credentials, checks=CONFORMANCE)
