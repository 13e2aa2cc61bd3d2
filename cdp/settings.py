"""All settings, from the environment. With none set it runs on this machine, for trying; see .env.example."""

from pathlib import Path
from zoneinfo import available_timezones

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from cdp import environment, postgres
from cdp.shell import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent
HOME = Path(environment.text("TAGLINE_HOME") or BASE_DIR / ".tagline").resolve()
UPLOAD_DIR = HOME / "uploads"

PRODUCTION = environment.flag("PRODUCTION", default=False)
DEBUG = environment.flag("DEBUG", default=False)
SECRET_KEY = environment.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = environment.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS")
if PRODUCTION:
    if not SECRET_KEY:
        raise ImproperlyConfigured("SECRET_KEY is not set; in production it must be 50 random characters or more.")
    if not ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS is not set; name the hosts people use, such as tagline.example.com.")
else:
    SECRET_KEY = SECRET_KEY or postgres.local_secret(HOME)
    ALLOWED_HOSTS = ALLOWED_HOSTS or ["127.0.0.1", "localhost", "[::1]", "testserver"]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "cdp.apps.SiteConfig",
    "cdp.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "procrastinate.contrib.django",
    "axes",
    "csp",
    "staff",
    "taxonomy",
    "profiles",
    "ingestion",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "cdp.middleware.answer_api_early",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "staff.middleware.person_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "cdp.middleware.refuse_nul",
]
ROOT_URLCONF = "cdp.urls"
WSGI_APPLICATION = "cdp.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASE_URL = environment.text("DATABASE_URL")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **(environment.database(DATABASE_URL) if DATABASE_URL else postgres.connection_settings(HOME)),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}

AUTH_USER_MODEL = "staff.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
# The page says until when; further tries do not put that off.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "staff.lockout.normalized_email"
AXES_LOCKOUT_CALLABLE = "staff.lockout.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "cdp.formats"
USE_I18N = True
USE_TZ = True
TIME_ZONE = environment.text("COMPANY_TIME_ZONE", "Asia/Shanghai")
if TIME_ZONE not in available_timezones():
    raise environment.wrong("COMPANY_TIME_ZONE", TIME_ZONE, "a zone such as Asia/Shanghai")

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
if environment.flag("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")
# unfold's Alpine needs unsafe-eval, and its widths and the charts' bars are style attributes.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [SELF],
        "object-src": [NONE],
    }
}
# A file is streamed to disk; everything else a person posts is small.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
FILE_UPLOAD_PERMISSIONS = 0o600

vars().update(environment.mail(environment.text("EMAIL_URL")))
# Where people open Tagline: every link in a letter, a webhook, a command's answer and the dictionary begins with it.
SITE_URL = environment.site(HOME / "address").rstrip("/")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = environment.text("EMAIL_FROM", "Tagline <tagline@localhost>")

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "ingestion.doors.errors.exception_handler",
    "DEFAULT_RENDERER_CLASSES": ["ingestion.doors.exact_json.ExactJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["ingestion.doors.exact_json.ExactJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": _("Tagline: the API"),
    "DESCRIPTION": _("Send events, read the plan, look customers up."),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "ingestion.doors.openapi.name_groups"],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "write key": {
                "type": "http",
                "scheme": "bearer",
                "description": _("A source's: tlw_…, or tlt_… for a test key, which stores nothing."),
            },
        }
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"

# What lower apps call in higher ones, by dotted name.
TAGLINE_RECENT_NAMES = "profiles.recent.names_seen"
TAGLINE_RECENT_EVENTS = "profiles.recent.seen_lately"
TAGLINE_EVENTS_SENT = "ingestion.discovery.carried.events_sent"
TAGLINE_CELLS = "ingestion.doors.files.all_cells"
TAGLINE_RULE_USE = "ingestion.watching.use.rule_use"
TAGLINE_TAG_USE = "ingestion.watching.use.tag_use"
TAGLINE_TAGS_SENT = "ingestion.watching.use.tags_sent"
TAGLINE_WATCHED = "ingestion.watching.use.watched"
TAGLINE_STOPPED = "ingestion.watching.stopped.news_for"
TAGLINE_BELONGINGS = ["taxonomy.leave.belongings", "ingestion.watching.leave.belongings"]
TAGLINE_HINDRANCES = ["taxonomy.leave.hindrances"]
TAGLINE_AFTER_RELEASE = [
    "ingestion.outgoing.dispatches.announce_release", "ingestion.quarantine.offer.offer_after_release", "taxonomy.jobs.settle_after_release",
]  # fmt: skip

# Webhooks go out to the internet only, unless this machine's own network is where the subscribers are.
WEBHOOKS_TO_PRIVATE_ADDRESSES = environment.flag("WEBHOOKS_TO_PRIVATE_ADDRESSES", default=False)

# The broker that `manage.py mqtt` listens to.
MQTT_BROKER = environment.mqtt(environment.text("MQTT_URL"))
MQTT_VERSION = environment.choice("MQTT_VERSION", "5", ("5", "3.1.1"))
MQTT_CLIENT_ID = environment.text("MQTT_CLIENT_ID") or "tagline"
MQTT_SHARED_GROUP = environment.text("MQTT_SHARED_GROUP")
MQTT_STATUS_TOPIC = environment.text("MQTT_STATUS_TOPIC") or "tagline/status"
MQTT_CA_FILE, MQTT_CERTIFICATE_FILE = environment.text("MQTT_CA_FILE"), environment.text("MQTT_CERTIFICATE_FILE")
MQTT_KEY_FILE = environment.text("MQTT_KEY_FILE")
MQTT_SESSION_DAYS = environment.whole_number("MQTT_SESSION_DAYS", 7, least=1, most=365)
for name, value in (("MQTT_SHARED_GROUP", MQTT_SHARED_GROUP), ("MQTT_STATUS_TOPIC", MQTT_STATUS_TOPIC)):
    if {"+", "#"} & set(value) or (name == "MQTT_SHARED_GROUP" and "/" in value):
        raise environment.wrong(name, value, "a name without + and #, and a group without /")

LOG_LEVEL = environment.choice("LOG_LEVEL", "WARNING", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
# Django's own request log prints paths only; database errors are logged without their values.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"no_values": {"()": "cdp.logs.WithoutValues"}},
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no_values"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {"django": {"handlers": ["console"], "level": LOG_LEVEL, "propagate": False}},
}

# An identifier tied to so many customers is shared and ties nothing.
TAGLINE_SHARED_FROM = {"user_id": 3, "crm_id": 3, "openid": 3, "email": 3, "device": 3, "anonymous_id": 3}
