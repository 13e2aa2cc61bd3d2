import logging
import re
from traceback import format_tb
from urllib.parse import unquote

from django.db import Error

from staff.masking import mask_in_text

# What a phone or an e-mail address cannot do without; most lines have neither.
_MAY_BE_PERSONAL = re.compile(r"(?:\d[^0-9A-Za-z]{0,9}){7}|[@＠]|%40|%EF%BC%A0", re.IGNORECASE)


def _places(error: BaseException | None) -> list[str]:
    """Where an error and those behind it happened and their kinds, the first cause first."""
    found: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found.insert(0, "".join(format_tb(error.__traceback__)) + type(error).__name__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


class WithoutValues(logging.Filter):
    """Keep personal data out of the log: phones and e-mails are masked, as in the path of a request that found nothing.

    A database error is logged by its kind, its message and detail are dropped: PostgreSQL repeats values in both, such as
    "Key (email)=(…) already exists". Of any other error is logged where it happened and its kind, not what it says.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if isinstance(error, Error) or type(error).__module__.startswith("psycopg"):
                record.msg = f"{record.getMessage().splitlines()[0]} [{type(error).__name__}]"
                record.args, record.exc_info, record.exc_text = None, None, None
                break
            error = error.__cause__ or error.__context__
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = "\ncaused\n".join(_places(record.exc_info[1]))
            record.exc_info = None
        message = record.getMessage()
        if _MAY_BE_PERSONAL.search(message):
            masked = mask_in_text(written := unquote(message))
            if masked != written:
                record.msg, record.args = masked, None
        return True
