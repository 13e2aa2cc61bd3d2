"""The plan on the command line."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand

from taxonomy.exchange.codegen import command as codegen


class Command(BaseCommand):
    help = "The plan on the command line: typed code from a release."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, (about, arguments, _run) in _ACTIONS.items():
            arguments(actions.add_parser(name, help=about, description=about))

    def handle(self, *args: object, action: str, **options: Any) -> None:
        _about, _arguments, run = _ACTIONS[action]
        run(self, **options)


# name: (what it does, its arguments, what runs)
_ACTIONS: dict[str, tuple[str, Callable[[ArgumentParser], None], Callable[..., None]]] = {
    "codegen": (codegen.ABOUT, codegen.add_arguments, codegen.run),
}
