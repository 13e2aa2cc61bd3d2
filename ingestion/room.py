"""Whether something failed because a disk is full: this machine's, or the database's."""

import errno

from psycopg.errors import DiskFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_no_room(error: BaseException | None) -> bool:
    """Of an error and of what caused it."""
    while error is not None:
        if isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in _FULL):
            return True
        error = error.__cause__
    return False
