import signal
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ingestion.doors.mqtt import CannotListen, Subscriber


class Command(BaseCommand):
    requires_system_checks = []
    help = """Take events from the MQTT broker of MQTT_URL until stopped. Which topics are whose is said under MQTT topics.

Several at once share the messages where MQTT_SHARED_GROUP is set; give each a client id of its own."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client-id", default=settings.MQTT_CLIENT_ID, help="instead of MQTT_CLIENT_ID")

    def handle(self, *args: object, client_id: str, **options: object) -> None:
        if not settings.MQTT_BROKER:
            raise CommandError("MQTT_URL is not set; expected mqtt://user:password@host:1883 or mqtts://…:8883. See .env.example.")
        try:
            subscriber = Subscriber(client_id)
            for end in (signal.SIGINT, signal.SIGTERM):
                signal.signal(end, lambda *_: subscriber.inbox.end())
            subscriber.run()
        except CannotListen as error:
            raise CommandError(str(error)) from error
