"""The pipe syntax: `trim | divide(100)` to steps, or to where and why it is wrong."""

import re
from typing import Any, NamedTuple

import msgspec

from taxonomy.standardize.transforms.table import TRANSFORMS

# Every way the text of a row's transforms can be wrong.
TRANSFORM_CODES = (
    "transform.unknown",
    "transform.name_expected",
    "transform.pipe_expected",
    "transform.bracket_open",
    "transform.quote_open",
    "transform.argument_empty",
    "transform.argument_count",
    "transform.argument_invalid",
)


class TransformError(msgspec.Struct, frozen=True):
    """Where (`position`, from 0) and why a text is no list of transforms; `expected` is what would be right there."""

    code: str
    position: int
    seen: str = ""
    expected: Any = None


class Step(NamedTuple):
    """One transform as written. Arguments of value_map are pairs "a", "b" one after the other."""

    name: str
    arguments: tuple[str, ...]
    position: int


class WrongTransforms(ValueError):
    def __init__(self, code: str, position: int, seen: str = "", expected: Any = None) -> None:
        super().__init__(f"{code} at {position}: {seen!r}, expected {expected!r}")
        self.error = TransformError(code, position, seen, expected)


def parse_transforms(text: str) -> list[Step] | TransformError:
    """Parse `trim | divide(100)`, arguments checked. A blank text is no transforms."""
    try:
        return read_steps(text)
    except WrongTransforms as wrong:
        return wrong.error


def read_steps(text: str) -> list[Step]:
    """As parse_transforms, but raises WrongTransforms, a ValueError."""
    if not text.strip():
        return []
    steps = _Parser(text).steps()
    for step in steps:
        _check(step)
    return steps


def _check(step: Step) -> None:
    row = TRANSFORMS[step.name]
    count = len(step.arguments) // 2 if row.pairs else len(step.arguments)
    most = None if row.pairs else len(row.parameters)
    if count < row.required or (most is not None and count > most):
        raise WrongTransforms("transform.argument_count", step.position, str(count), list(row.parameters))
    try:
        row.build(*step.arguments)
    except ValueError as error:
        raise WrongTransforms("transform.argument_invalid", step.position, ", ".join(step.arguments), str(error)) from error


class _Parser:
    """Reads name(argument, …) | name … from left to right."""

    _NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
    _BARE = re.compile(r'[^",|()]*')
    _BARE_IN_PAIR = re.compile(r'[^",|()=]*')
    _QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def steps(self) -> list[Step]:
        steps = [self._step()]
        while self._take("|"):
            steps.append(self._step())
        if self.at < len(self.text):
            raise WrongTransforms("transform.pipe_expected", self.at, self.text[self.at], "|")
        return steps

    def _step(self) -> Step:
        self._skip_spaces()
        position = self.at
        found = self._NAME.match(self.text, self.at)
        if found is None:
            raise WrongTransforms("transform.name_expected", position, self.text[position : position + 1], list(TRANSFORMS))
        row = TRANSFORMS.get(found[0])
        if row is None:
            raise WrongTransforms("transform.unknown", position, found[0], list(TRANSFORMS))
        self.at = found.end()
        arguments: list[str] = []
        if self._take("(") and not self._take(")"):
            arguments = self._arguments(row.pairs)
        return Step(row.name, tuple(arguments), position)

    def _arguments(self, pairs: bool) -> list[str]:
        opened = self.at - 1
        arguments: list[str] = []
        while True:
            arguments.append(self._argument(pairs))
            if pairs:
                if not self._take("="):
                    raise WrongTransforms("transform.argument_invalid", self.at, arguments[-1], "a=b")
                arguments.append(self._argument(pairs))
            if self._take(")"):
                return arguments
            if not self._take(","):
                raise WrongTransforms("transform.bracket_open", opened, self.text[self.at : self.at + 1], [",", ")"])

    def _argument(self, pairs: bool) -> str:
        self._skip_spaces()
        if self.text[self.at : self.at + 1] == '"':
            return self._quoted()
        bare = (self._BARE_IN_PAIR if pairs else self._BARE).match(self.text, self.at)
        assert bare is not None
        if not bare[0].strip():
            raise WrongTransforms("transform.argument_empty", self.at, self.text[self.at : self.at + 1], '""')
        self.at = bare.end()
        return bare[0].strip()

    def _quoted(self) -> str:
        found = self._QUOTED.match(self.text, self.at)
        if found is None:
            raise WrongTransforms("transform.quote_open", self.at, self.text[self.at : self.at + 20], '"')
        self.at = found.end()
        return found[1].replace('\\"', '"')

    def _take(self, character: str) -> bool:
        self._skip_spaces()
        if self.text[self.at : self.at + 1] != character:
            return False
        self.at += 1
        self._skip_spaces()
        return True

    def _skip_spaces(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
