"""The Celery application; tasks live in each app's tasks.py."""

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning

# Celery warns root about pickled messages; ours are JSON, which runs nothing.
warnings.filterwarnings("ignore", category=SecurityWarning)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")

app = Celery("tradingplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
