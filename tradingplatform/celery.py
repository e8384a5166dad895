"""The Celery application; tasks live in each app's tasks.py."""

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning

# Celery warns root about pickled messages; ours are JSON, which runs nothing.
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")
# The worker and beat would load every page to check its address: `manage.py check` does.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("tradingplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
if os.environ.get("PLATFORM_PROCESS") != "beat":  # which sends tasks by their names and runs none
    app.autodiscover_tasks()
