"""Reading the environment, loud on nonsense: the variable, the value seen, and what was expected."""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# What a DATABASE_URL may say after "?", by libpq's names.
DATABASE_OPTIONS = frozenset({
    "sslmode", "sslrootcert", "sslcert", "sslkey", "channel_binding", "target_session_attrs", "connect_timeout", "options", "application_name",
})  # fmt: skip
TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})


def wrong(name: str, value: str, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} is {value!r}; expected {expected}. See .env.example.")


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def flag(name: str, *, default: bool) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in TRUE | FALSE:
        raise wrong(name, value, "1 or 0")
    return value in TRUE


def whole_number(name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
    value = text(name, str(default))
    if not value.isdecimal() or not least <= int(value) <= most:
        raise wrong(name, value, f"a whole number from {least} to {most}")
    return int(value)


def port() -> int:
    return whole_number("PORT", 8000, least=1, most=65_535)


def site(running: Path) -> str:
    """SITE_URL; else this machine at PORT; else where `manage.py run` serves now, which it keeps in the file `running`."""
    if given := text("SITE_URL"):
        return given
    if not text("PORT"):
        with suppress(OSError):
            return running.read_text().strip()
    return f"http://127.0.0.1:{port()}"


def choice(name: str, default: str, choices: Collection[str]) -> str:
    value = text(name, default)
    if value not in choices:
        raise wrong(name, value, f"one of {', '.join(choices)}")
    return value


def words(name: str) -> list[str]:
    return [word.strip() for word in text(name).split(",") if word.strip()]


def database(url: str) -> Mapping[str, object]:
    """Django's DATABASES entry of a URL such as postgresql://user:password@host:5432/name?sslmode=require."""
    parts = urlsplit(url)
    expected = "postgresql://user:password@host:5432/name?sslmode=require"
    if parts.scheme not in ("postgres", "postgresql") or not parts.path.strip("/"):
        raise ImproperlyConfigured(f"DATABASE_URL: expected {expected}. See .env.example.")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - DATABASE_OPTIONS):
        raise ImproperlyConfigured(f"DATABASE_URL: {unknown[0]!r} is not known; expected {', '.join(sorted(DATABASE_OPTIONS))}.")
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(_port("DATABASE_URL", parts) or ""),
        "OPTIONS": {"connect_timeout": 5, "application_name": "tagline", **options},
    }


def mail(url: str) -> dict[str, object]:
    """Django's EMAIL_ settings of a URL such as smtp://user:password@host:587?tls=1; empty: print mails to the console."""
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ImproperlyConfigured("EMAIL_URL: expected smtp://user:password@host:587?tls=1 or smtps://…:465. See .env.example.")
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": _port("EMAIL_URL", parts) or (465 if parts.scheme == "smtps" else 25),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp" and "tls=1" in parts.query,
        "EMAIL_TIMEOUT": 10,
    }


def mqtt(url: str) -> dict[str, Any]:
    """Where the broker of a URL such as mqtts://user:password@host:8883 is; empty without one."""
    if not url:
        return {}
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ImproperlyConfigured("MQTT_URL: expected mqtt://user:password@host:1883 or mqtts://…:8883. See .env.example.")
    tls = parts.scheme == "mqtts"
    return {
        "host": parts.hostname,
        "port": _port("MQTT_URL", parts) or (8883 if tls else 1883),
        "tls": tls,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }


def _port(name: str, parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: the port is no number from 0 to 65535. See .env.example.") from error
