"""A pickle reader that cannot run anything.

A pickle is a program for a small stack machine, and Python's own machine obeys instructions such as
"import this function and call it".  The machine here has no such instruction:

- It never imports.  A name in the file becomes a :class:`Placeholder`, which records the name.
- It never calls what comes from the file.  Where a pickle says "call", a placeholder answers with
  itself, unless its name is a key of the ``builders`` that the caller of :func:`load` passed; those
  are functions of this package that make plain data of plain data.
- It never sets an attribute, and never looks one up: "build" instructions are dropped.
- Nothing in it recurses, hashes more than a number or a string, or copies more than it read, and
  the number of instructions is bounded.  So the time and memory it takes are proportional to the
  size of the file.

The instructions are decoded by :mod:`pickletools` of the standard library, which only decodes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

__all__ = ["Builder", "Machine", "Placeholder", "load", "shown"]

INSTRUCTIONS = 4_000_000
"""Instructions obeyed before a pickle is refused; a checkpoint of this network has 100,000."""

LONGEST_INTEGER = 128
"""Bits of the largest integer accepted."""

KEYS = (str, int, float, bytes, bool, type(None))
"""Types of keys; others, which could take long to hash, are replaced by a placeholder."""


def shown(value: str | bytes | int | float | None, length: int = 80) -> str:
    """`value` as text for a message: one line of ASCII, cut to about `length` characters."""
    text = value if isinstance(value, str) else repr(value)
    return ascii(text[: length + 1])[1:-1][:length] + ("..." if len(text) > length else "")


class Placeholder:
    """Stands for an object of the file that was not made: a function, a class or what they return.

    Attributes
    ----------
    module, name : str
        Where the file says that it is to be found.
    state : object
        The last state that the file wanted to give it.
    """

    __slots__ = ("module", "name", "state")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name
        self.state: object = None

    def __repr__(self) -> str:
        return f"{shown(self.module)}.{shown(self.name)}"


def _instructions(stream: BinaryIO) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    try:
        yield from pickletools.genops(stream)
    except ValueError as error:
        raise ValueError(f"its pickle is damaged: {shown(str(error))}") from None


Builder = Callable[["Machine", tuple[Any, ...]], object]
"""Makes plain data from the arguments that the file gives to one known name."""


class Machine:
    """The stack machine.  Instructions are methods, found through ``_OBEY``."""

    def __init__(
        self,
        builders: Mapping[tuple[str, str], Builder],
        persistent: Callable[[object], object],
    ) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.builders = builders
        self.persistent = persistent
        self.left = INSTRUCTIONS

    def spend(self, count: int) -> None:
        """Counts `count` steps of work, and refuses a file that wants too many."""
        self.left -= count
        if self.left < 0:
            raise ValueError(f"its pickle has more than {INSTRUCTIONS} instructions")

    def run(self, stream: BinaryIO) -> object:
        """Obeys the instructions of `stream` up to the first STOP and returns what they made."""
        try:
            for code, argument, _ in _instructions(stream):
                self.spend(1)
                if code.name == "STOP":
                    break
                obey = _OBEY.get(code.name)
                if obey is None:
                    raise ValueError(f"its pickle has the instruction {code.name}")
                obey(self, argument)
            return self.stack.pop()
        except (IndexError, KeyError):
            raise ValueError("its pickle is damaged") from None

    def push(self, value: object) -> None:
        self.stack.append(value)

    def push_integer(self, value: int) -> None:
        if value.bit_length() > LONGEST_INTEGER:
            raise ValueError(f"its pickle has an integer of {value.bit_length()} bits")
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.marks.append(len(self.stack))

    def pop_mark(self) -> list[Any]:
        """Takes everything above the last mark from the stack."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def pop(self, _: object) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def duplicate(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def memoize(self, _: object) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def push_tuple(self, count: int) -> None:
        items = self.stack[len(self.stack) - count :]
        if len(items) != count:
            raise IndexError
        del self.stack[len(self.stack) - count :]
        self.stack.append(tuple(items))

    def append_all(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is list:
            target.extend(items)
        elif not isinstance(target, Placeholder):
            raise ValueError("its pickle is damaged: it appends to what is no list")

    def set_all(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is dict:
            set_items(target, items)
        elif not isinstance(target, Placeholder):
            raise ValueError("its pickle is damaged: it sets an item of what is no dictionary")

    def call(self, function: object, arguments: object) -> None:
        """Pushes what stands for ``function(*arguments)``; nothing is called but a builder."""
        if not isinstance(function, Placeholder):
            raise ValueError("its pickle is damaged: it calls what is no function")
        builder = self.builders.get((function.module, function.name))
        if builder is None or type(arguments) is not tuple:
            self.stack.append(Placeholder(function.module, function.name))
        else:
            self.stack.append(builder(self, arguments))

    def reduce(self, _: object) -> None:
        arguments = self.stack.pop()
        self.call(self.stack.pop(), arguments)

    def new_with_keywords(self, _: object) -> None:
        self.stack.pop()
        self.reduce(None)

    def instance(self, name: str) -> None:
        arguments = tuple(self.pop_mark())
        self.call(named(name), arguments)

    def call_marked(self, _: object) -> None:
        function, *arguments = self.pop_mark() or [None]
        self.call(function, tuple(arguments))

    def build(self, _: object) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Placeholder):
            target.state = state

    def name_from_stack(self, _: object) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError("its pickle is damaged: it names a function by what is no text")
        self.stack.append(Placeholder(module, name))

    def load_persistent(self, _: object) -> None:
        self.stack.append(self.persistent(self.stack.pop()))


def named(text: str) -> Placeholder:
    """The placeholder for ``"module name"``."""
    module, _, name = text.partition(" ")
    return Placeholder(module, name)


def set_items(target: dict[Any, Any], items: list[Any]) -> None:
    """Sets the alternating keys and values of `items` in `target`."""
    if len(items) % 2:
        raise IndexError
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) not in KEYS:
            key = Placeholder("pickle", type(key).__name__)
        target[key] = value


def dictionary(items: list[Any]) -> dict[Any, Any]:
    """A dictionary of alternating keys and values."""
    made: dict[Any, Any] = {}
    set_items(made, items)
    return made


def load(
    stream: BinaryIO,
    builders: Mapping[tuple[str, str], Builder],
    persistent: Callable[[object], object],
) -> object:
    """Reads one pickle, up to and with its STOP.

    Parameters
    ----------
    stream : binary file
        Has ``read`` and ``readline``; may end anywhere.
    builders : mapping
        ``(module, name)`` to the function that stands for that name when the file calls it.
    persistent : callable
        Makes the object for a persistent id.

    Returns
    -------
    object
        None, bool, int, float, str, bytes, list, tuple, dict, what `builders` and `persistent`
        return, and :class:`Placeholder` for everything else.

    Raises
    ------
    ValueError
        The bytes are no pickle, are damaged or want more work than a checkpoint may.
    """
    return Machine(builders, persistent).run(stream)


def _ignore(machine: Machine, _: object) -> None:
    """Protocol numbers and frames."""


def _push_inert(name: str) -> Callable[[Machine, Any], None]:
    return lambda machine, argument: machine.push(Placeholder("pickle", name))


_OBEY: dict[str, Callable[[Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _ignore),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2"), Machine.push_integer),
    **dict.fromkeys(("LONG", "LONG1", "LONG4"), Machine.push_integer),
    **dict.fromkeys(("FLOAT", "BINFLOAT"), Machine.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), Machine.push),
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), Machine.push),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), Machine.push),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.get),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _push_inert("extension")),
    **dict.fromkeys(("BYTEARRAY8", "NEXT_BUFFER"), _push_inert("buffer")),
    "READONLY_BUFFER": _ignore,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": lambda machine, _: _ignore(machine, machine.pop_mark()),
    "DUP": Machine.duplicate,
    "MEMOIZE": Machine.memoize,
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: machine.push_tuple(1),
    "TUPLE2": lambda machine, _: machine.push_tuple(2),
    "TUPLE3": lambda machine, _: machine.push_tuple(3),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": lambda machine, _: machine.push(machine.pop_mark()),
    "APPEND": lambda machine, _: machine.append_all([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append_all(machine.pop_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": lambda machine, _: machine.push(dictionary(machine.pop_mark())),
    "SETITEM": lambda machine, _: machine.set_all([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_all(machine.pop_mark()),
    "EMPTY_SET": _push_inert("set"),
    "ADDITEMS": lambda machine, _: _ignore(machine, machine.pop_mark()),
    "FROZENSET": lambda machine, _: machine.push(_inert_of(machine.pop_mark())),
    "GLOBAL": lambda machine, name: machine.push(named(name)),
    "STACK_GLOBAL": Machine.name_from_stack,
    "REDUCE": Machine.reduce,
    "NEWOBJ": Machine.reduce,
    "NEWOBJ_EX": Machine.new_with_keywords,
    "INST": Machine.instance,
    "OBJ": Machine.call_marked,
    "BUILD": Machine.build,
    "BINPERSID": Machine.load_persistent,
    "PERSID": _push_inert("persistent id"),
}


def _inert_of(_: list[Any]) -> Placeholder:
    return Placeholder("pickle", "frozenset")
