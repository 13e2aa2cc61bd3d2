"""Names that a language takes: the plan's own codes, apart from its reserved words and from each other."""

from collections.abc import Iterable


class Names:
    """Gives each wish a name of its own. `taken`: what no name may be."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def give(self, wish: str) -> str:
        """The wish itself, else with "_" behind it, else with a number."""
        name, number = (wish if wish.isidentifier() else f"_{wish}"), 2
        if name in self._taken:
            name = f"{wish}_"
        while name in self._taken:
            name, number = f"{wish}_{number}", number + 1
        self._taken.add(name)
        return name


def camel(code: str) -> str:
    """product_view as productView."""
    first, *rest = code.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def pascal(code: str) -> str:
    """product_view as ProductView."""
    name = camel(code)
    return name[:1].upper() + name[1:]
