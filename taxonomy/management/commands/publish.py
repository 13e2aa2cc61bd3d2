from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from taxonomy.check_words import finding_text
from taxonomy.definition import draft_items
from taxonomy.diff import title
from taxonomy.problems import plan_problem
from taxonomy.publish import ItemChange, NothingToPublish, NotPublishable, items_of, newest, publish, unreleased


class Command(BaseCommand):
    requires_system_checks = []
    help = "Release the draft of the standard without sign-off; the release stays marked until somebody has reviewed it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--notes", default="", help="what changed, for everybody")
        parser.add_argument("--items", nargs="*", metavar="CODE", help="only these items; default: all")
        parser.add_argument("--dry-run", action="store_true", help="show what differs, release nothing")

    def handle(self, *args: object, notes: str, items: list[str] | None, dry_run: bool, **options: object) -> None:
        changes = unreleased()
        if items:
            if unknown := sorted(set(items) - {name_of(change) for change in changes}):
                raise CommandError(f"Nothing unreleased is called {', '.join(unknown)}. See --dry-run for what is.")
            changes = [change for change in changes if name_of(change) in items]
        for change in changes:
            sign = "+" if change.before is None else "-" if change.after is None else "~"
            self.stdout.write(f"{sign} {change.kind} {name_of(change)}")
        if dry_run:
            return
        try:
            chosen = [change.item for change in changes] if items else None
            release = publish(chosen, notes=notes, by=None, emergency_reason=notes or "published from the command line")
        except NothingToPublish:
            self.stdout.write("Nothing differs from the current release.")
        except NotPublishable as error:
            names = items_of(newest()) | draft_items()
            lines = [plan_problem(problem, names) for problem in error.problems]
            lines += [f"{title(names[finding.item], names)}: {finding_text(finding, names)}" for finding in error.findings]
            raise CommandError("Nothing was published:\n" + "\n".join(lines)) from error
        else:
            count = len(release.changed_items)
            self.stdout.write(f"Published {release.version}: {count} item{'' if count == 1 else 's'}.")


def name_of(change: ItemChange) -> str:
    definition = change.after or change.before or {}
    return definition.get("code") or definition.get("name") or change.item
