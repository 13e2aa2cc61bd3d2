from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from taxonomy.check_words import finding_text
from taxonomy.definition import draft_items
from taxonomy.diff import title
from taxonomy.problems import plan_problem
from taxonomy.proposals.propose import ElsewhereProposed
from taxonomy.proposals.refused import said_of
from taxonomy.proposals.review import StillArrives, release_unsigned
from taxonomy.publish import ItemChange, NotPublishable, items_of, newest, unreleased


class Command(BaseCommand):
    requires_system_checks = []
    help = "Release the draft of the standard without sign-off; the release stays marked until somebody has reviewed it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--notes", default="", help="what changed and why now, for everybody; needed unless it is a dry run")
        parser.add_argument("--retire-reason", default="", help="why tags that sources still send shall go")
        parser.add_argument("--items", nargs="+", metavar="CODE", help="only these items; default: all")
        parser.add_argument("--dry-run", action="store_true", help="show what differs, release nothing")

    def handle(self, *args: object, notes: str, retire_reason: str, items: list[str] | None, dry_run: bool, **options: object) -> None:
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
        if not changes:
            self.stdout.write("Nothing differs from the current release.")
            return
        if not notes.strip():
            raise CommandError("Say what changed and why it is released without sign-off: --notes '…'.")
        try:
            release = release_unsigned([change.item for change in changes] if items else None, notes=notes, retire_reason=retire_reason)
        except NotPublishable as error:
            names = items_of(newest()) | draft_items()
            lines = [plan_problem(problem, names) for problem in error.problems]
            lines += [f"{title(names[finding.item], names)}: {finding_text(finding, names)}" for finding in error.findings]
            raise CommandError("Nothing was published:\n" + "\n".join(lines)) from error
        except StillArrives as error:
            names = items_of(newest())
            tags = ", ".join(title(names[item], names) for item in error.tags)
            raise CommandError(f"Sources still send {tags}. Say why they shall go all the same: --retire-reason '…'.") from error
        except ElsewhereProposed as error:
            raise CommandError(f"Nothing was published: {said_of(error)}") from error
        else:
            count = len(release.changed_items)
            self.stdout.write(f"Published {release.version}: {count} item{'' if count == 1 else 's'}.")


def name_of(change: ItemChange) -> str:
    definition = change.after or change.before or {}
    return definition.get("code") or definition.get("name") or change.item
