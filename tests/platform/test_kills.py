"""One kill of each process, and of the supervisor, in the middle of collection and writing; and, first, a minute during
which nobody starts the database again."""

import pytest

from tests.platform.kills import CHILDREN, campaign, goes_on_without_its_database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def test_one_kill_of_each_process_under_load(tmp_path):
    campaign(tmp_path / "data", [*CHILDREN, "supervisor"], print, goes_on_without_its_database)
