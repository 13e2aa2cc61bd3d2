from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import translation


class InLanguage(BaseCommand):
    """A command whose words for people are in the language that is asked for."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        languages = [code for code, _name in settings.LANGUAGES]
        parser.add_argument(
            "--language", choices=languages, default=settings.LANGUAGE_CODE,
            help=f"of what is told of files and rows, each row's reason too; {settings.LANGUAGE_CODE} unless told",
        )  # fmt: skip

    def execute(self, *args: Any, language: str, **options: Any) -> str | None:
        with translation.override(language):
            return super().execute(*args, **options)
