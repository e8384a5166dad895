"""Django settings: one file, all that varies comes from the environment through `env.py`."""

import os
import sys
from typing import Any

import environ
from celery.schedules import crontab
from psycopg.conninfo import conninfo_to_dict

from tradingplatform import embedded
from tradingplatform.addresses import celery_broker_url
from tradingplatform.env import ROOT, load

ENV = load()
PROCESS = os.environ.get("PLATFORM_PROCESS", "shell")  # web, worker, beat, feed, scanner, prepare or shell

DEBUG = ENV.debug
SECRET_KEY = ENV.secret_key or embedded.read_secret_key(ENV.data_dir)
ALLOWED_HOSTS = list(ENV.allowed_hosts)
SIMULATED_MARKET = ENV.simulated_market

INSTALLED_APPS = [
    # Its own `runserver`; the web process needs no app of it, and the others need not wait for Twisted.
    *(["daphne"] if "runserver" in sys.argv[1:2] else []),
    # Admin pages, and the services behind them, are loaded where they are shown or checked.
    "django.contrib.admin" if PROCESS in {"web", "shell"} else "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tradingplatform",
    "markets",
    "depth",
    "candles",
    "derivatives",
    "dex",
    "alerts",
    "collector",
    "api",
]

MIDDLEWARE = [
    "api.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "tradingplatform.security.ContentSecurityPolicyMiddleware",
    "tradingplatform.staticfiles.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tradingplatform.urls"
ASGI_APPLICATION = "tradingplatform.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tradingplatform.frame.frame",
            ],
        },
    },
]

# --- storage -----------------------------------------------------------------------------------------------------

_home = embedded.home(ENV.data_dir, simulated=ENV.simulated_market)
DATABASE_URL = ENV.database_url or embedded.addresses(_home).database_url
REDIS_URL = ENV.redis_url or embedded.addresses(_home).redis_url
CACHE_REDIS_URL = ENV.cache_redis_url or REDIS_URL
SPOOL_DIR = _home / "spool"
SPOOL_LIMIT = ENV.spool_limit_mb * 1024 * 1024
CAPTURE = ENV.capture
CAPTURE_DIR = _home / "capture"
CAPTURE_LIMIT = ENV.capture_limit_mb * 1024 * 1024
CAPTURE_HOURS = ENV.capture_hours

_conninfo = conninfo_to_dict(DATABASE_URL)
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _conninfo.pop("dbname", "trading"),
        "USER": _conninfo.pop("user", ""),
        "PASSWORD": _conninfo.pop("password", ""),
        "HOST": _conninfo.pop("host", ""),
        "PORT": str(_conninfo.pop("port", "")),
        "CONN_MAX_AGE": 0,  # under ASGI a kept connection belongs to a thread that is gone
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 3, **_conninfo},
    }
}
if PROCESS == "web":
    # Threads of the web process share a pool; a full or dead one answers 503 within two seconds instead of hanging.
    # One that has given up is tried again by the next request; one that retries waits twice as long each time.
    _pool = {"min_size": 2, "max_size": 20, "timeout": 2, "max_idle": 60, "reconnect_timeout": 1}
    DATABASES["default"]["OPTIONS"]["pool"] = _pool
elif PROCESS in {"worker", "beat", "feed", "scanner"}:
    DATABASES["default"]["CONN_MAX_AGE"] = None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}},
}

# --- what is collected and kept ----------------------------------------------------------------------------------

DEPTH_BANDS = ENV.depth_bands
QUOTE_ASSETS = ENV.quote_assets
SYMBOLS = ENV.symbols
START_DATE = ENV.start_date
CANDLE_MARKETS = ENV.candle_markets
REALTIME_INTERVAL = ENV.realtime_interval  # seconds
STREAM_KINDS = {"SPOT": frozenset(ENV.spot_streams), "FUTURES": frozenset(ENV.futures_streams)}
TRADE_SYMBOLS = ENV.trade_symbols
MARK_PRICE_SECONDS = ENV.mark_price_seconds
EVENT_PAYLOADS = frozenset(ENV.event_payloads) - {"none"}
DEPTH_UPDATES = frozenset(tuple(part.split(":", 1)) for part in ENV.depth_updates)
LIVE_SYMBOLS = ENV.live_symbols
LIVE_ON_DEMAND = ENV.live_on_demand
LIVE_RATE = ENV.live_rate
ORDERBOOK_LEVELS = ENV.orderbook_levels
ORDERBOOK_UPDATE_INTERVAL = ENV.orderbook_update_interval
VENUE_URLS = {
    "binance": {
        "SPOT": {"rest": ENV.binance_spot_rest_url, "ws": ENV.binance_spot_ws_url},
        "FUTURES": {"rest": ENV.binance_futures_rest_url, "ws": ENV.binance_futures_ws_url},
    },
}

# --- alerts ------------------------------------------------------------------------------------------------------

ALERT_LOG = _home / "alert.log"
EMAIL_CONFIG = environ.Env.email_url_config(ENV.email_url or "smtp://")
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = EMAIL_CONFIG["EMAIL_HOST"], EMAIL_CONFIG["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL_CONFIG["EMAIL_HOST_USER"], EMAIL_CONFIG["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL_CONFIG.get("EMAIL_USE_TLS", False), EMAIL_CONFIG.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
EMAILS = bool(ENV.email_url)
DEFAULT_FROM_EMAIL = ENV.email_from
WEBHOOK_INTERNAL = ENV.webhook_internal

# --- chain -------------------------------------------------------------------------------------------------------

WEB3_PROVIDERS = ENV.web3_providers
TRADING_ADDRESS = ENV.trading_address
TRADING_ABI = ENV.trading_abi
ROUTER_ADDRESS = ENV.router_address
TOKEN_ASSETS = ENV.token_assets
EXPLORER_URL = ENV.explorer_url
CONFIRMATIONS = ENV.confirmations
START_BLOCK = ENV.start_block

# --- Celery ------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = celery_broker_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "trading"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # the cycle in progress finishes without Redis
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,  # tasks stay under a minute; a lost worker's come back soon
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "retry_on_timeout": True,
    "health_check_interval": 10,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "collect-minute": {"task": "collector.collect_minute", "schedule": crontab(), "options": {"expires": 50}},
    # Late enough for the last books of the minute before to be stored.
    "record-metrics": {
        "task": "collector.record_metrics",
        "schedule": crontab(),
        "options": {"countdown": 15, "expires": 50},
    },
    "sync-symbols": {"task": "collector.sync_symbols", "schedule": crontab(minute="17"), "options": {"expires": 3000}},
    # Hours that have just closed, and those that late rows fell into; their days with them.
    "roll-up": {"task": "depth.roll_up", "schedule": crontab(minute="4,34"), "options": {"expires": 1500}},
    "alerts": {"task": "alerts.evaluate", "schedule": crontab(), "options": {"countdown": 20, "expires": 55}},
    # Behind the metrics, which close the minute.
    "alerts-system": {
        "task": "collector.consider_system",
        "schedule": crontab(),
        "options": {"countdown": 25, "expires": 55},
    },
    # The minute that has just ended, a moment after its end; then history, requests and gaps with what budget is left.
    "collect-candles": {
        "task": "collector.collect_candles",
        "schedule": crontab(),
        "options": {"countdown": 3, "expires": 50},
    },
    "backfill-candles": {
        "task": "collector.backfill_candles",
        "schedule": crontab(),
        "options": {"countdown": 8, "expires": 55},
    },
    "repair-candles": {
        "task": "collector.repair_candles",
        "schedule": crontab(minute="23"),
        "options": {"expires": 1800},
    },
    # Behind the minute that has just closed: what closes every few minutes is stored every five.
    "derive-candles": {
        "task": "candles.derive",
        "schedule": crontab(minute="*/5"),
        "options": {"countdown": 22, "expires": 240},
    },
    # Each result once a day: some at a time.
    "backtest-candles": {
        "task": "candles.backtest",
        "schedule": crontab(minute="8-59/10"),
        "options": {"expires": 500},
    },
    "roll-up-candles": {"task": "candles.roll_up", "schedule": crontab(minute="2-59/5"), "options": {"expires": 280}},
    # Hours that have just closed, and those that late events fell into.
    "roll-up-events": {
        "task": "derivatives.roll_up",
        "schedule": crontab(minute="3-59/5"),
        "options": {"expires": 280},
    },
    "repair-trades": {
        "task": "collector.repair_trades",
        "schedule": crontab(),
        "options": {"countdown": 12, "expires": 50},
    },
    "open-interest": {
        "task": "collector.open_interest",
        "schedule": crontab(),
        "options": {"countdown": 8, "expires": 50},
    },
    "retention": {"task": "collector.retention", "schedule": crontab(minute="41"), "options": {"expires": 3000}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(ENV.data_dir / "celerybeat-schedule")

# --- web ---------------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = ENV.data_dir / "static"
STATICFILES_DIRS = [
    ROOT / "static",
    ("vendor/lightweight-charts", ROOT / "node_modules" / "lightweight-charts" / "dist"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "tradingplatform.staticfiles.HashedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["tradingplatform.formats"]  # how the admin writes times

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/admin/login/"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Two copies on one host differ by port, and cookies do not know ports.
SESSION_COOKIE_NAME = f"sessionid_{ENV.port}"
CSRF_COOKIE_NAME = f"csrftoken_{ENV.port}"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

CORS_ALLOWED_ORIGINS = list(ENV.cors_allowed_origins)
CORS_URLS_REGEX = r"^/(api|metrics)/?.*$"
CORS_EXPOSE_HEADERS = ["X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "Retry-After"]

API_PUBLIC = ENV.api_public
API_RATE_LIMIT = ENV.api_rate_limit
WEBSOCKET_MAX_CONNECTIONS = ENV.websocket_max_connections
NUM_PROXIES = ENV.num_proxies
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["api.renderers.ApiRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.parsers.JsonParser"],
    "URL_FORMAT_OVERRIDE": None,  # `format` belongs to the resources
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.authentication.ApiKeyAuthentication", "api.authentication.StaffSession"],
    "DEFAULT_PERMISSION_CLASSES": ["api.permissions.ReadAllowed"],
    "DEFAULT_THROTTLE_CLASSES": ["api.throttling.RateLimit"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "api.exceptions.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "NUM_PROXIES": NUM_PROXIES,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Trading Platform API",
    "VERSION": "1",
    "DESCRIPTION": "Order-book liquidity of Binance spot and USD-M futures: current, kept, and how complete it is.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- logging -----------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"}},
    "filters": {"request_id": {"()": "api.request_id.RequestIdFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["stderr"], "level": ENV.log_level},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
        "celery": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
    },
}
