import logging

from django.db import Error


class WithoutValues(logging.Filter):
    """Keep row values out of the log: a database error is logged by its kind, its message and detail are dropped.

    PostgreSQL repeats values in both, such as "Key (email)=(…) already exists".
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
        return True
