"""What the package offers, read from its source by griffe; nothing of it is imported.

The three notations hold the same names with the same docstrings. So one :class:`Entry` stands for
``rnnlab.numpy.LSTM``, ``rnnlab.torch.LSTM`` and ``rnnlab.tensorflow.LSTM``; it knows what only some
of them have. What is public is what ``__all__`` says.
"""

import functools
import inspect
import runpy
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[1]
NOTATIONS = {"numpy": "NumPy", "torch": "PyTorch", "tensorflow": "TensorFlow"}
ORDER = ("", *NOTATIONS)  # of what is described: what stands outside the three has the key ""
# What the public modules stand on. Its names may change without a word.
INTERNAL = {
    "rnnlab.checks",
    "rnnlab.coexist",
    "rnnlab.compiled",
    "rnnlab.kernels",
    "rnnlab.loop",
    "rnnlab.weights",
    "rnnlab.numpy.fused",
    "rnnlab.torch.fused",
    "rnnlab.tensorflow.kernel_loops",
    "rnnlab.torch.kernel_loops",
    "rnnlab.tensorflow.fused",
}


@dataclass
class Entry:
    """A function, class, value or member of a class, in each notation that has it.

    definitions: griffe's objects by notation; by "" what stands outside the three. names: by the
    same keys, the full names under which it is imported. aliases: full names that lead here, too.
    """

    name: str
    definitions: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)
    members: list = field(default_factory=list)
    bases: list = field(default_factory=list)
    aliases: list = field(default_factory=list)

    @property
    def first(self):
        """The definition to describe: NumPy's, if there is one."""
        return next(self.definitions[n] for n in ORDER if n in self.definitions)

    @property
    def all_names(self):
        """Its full names, the notations' first and in their order."""
        names = [name for n in ORDER for name in self.names.get(n, ())]
        rank = {notation: k for k, notation in enumerate(NOTATIONS)}
        return sorted(names, key=lambda name: rank.get(name.split(".")[1], len(rank)))

    @property
    def is_tuple(self):
        return any(str(base) == "NamedTuple" for base in getattr(self.first, "bases", ()))

    @property
    def parameters(self):
        """The arguments: name -> griffe's object, whose default is a string or ``None``."""
        if self.is_tuple:
            return {name: m for name, m in self.first.members.items() if m.is_attribute}
        found = getattr(self.first, "parameters", ())
        return {p.name: p for p in found if p.name not in ("self", "cls")}

    @property
    def signature(self):
        """The name and the arguments, without annotations."""
        if self.is_tuple:
            values = {name: m.value for name, m in self.parameters.items()}
            parts = [name if v is None else f"{name}={v}" for name, v in values.items()]
            return f"{self.name}({', '.join(parts)})"
        if not self.parameters and not self.first.is_function:
            return self.name
        for parameter in self.parameters.values():
            parameter.annotation = None
        return self.first.signature(name=self.name)

    @property
    def texts(self):
        """The docstrings by notation: one, NumPy's, if they are the same but for its name."""
        found = {n: docstring(self.definitions[n]) for n in ORDER if n in self.definitions}
        same = len({text.replace(f"rnnlab.{n}", "rnnlab") for n, text in found.items()}) == 1
        return dict(list(found.items())[:1]) if same else found

    @property
    def summary(self):
        """The docstring's first paragraph, in one line."""
        return " ".join(docstring(self.first).partition("\n\n")[0].split())


@dataclass
class Section:
    """The modules of one name: a single one, or the notations' files."""

    key: str
    modules: dict = field(default_factory=dict)  # by notation; by "" a module outside the three
    entries: list = field(default_factory=list)

    @property
    def shared(self):
        return "" in self.modules

    @property
    def title(self):
        return f"rnnlab.{self.key}" if self.shared else self.key.capitalize()

    @property
    def text(self):
        """The module's docstring; of several, what is true of all."""
        text = docstring(next(iter(self.modules.values()))).removeprefix(f"{self.title}: ")
        for label in NOTATIONS.values():
            text = text.replace(f", in {label}.", ".")
        return text[:1].upper() + text[1:]


def docstring(thing):
    """The docstring as ``help`` shows it."""
    text = inspect.cleandoc(thing.docstring.value) if thing.docstring else ""
    if any(str(d.value) == "explained" for d in getattr(thing, "decorators", ())):
        text = runpy.run_path(str(thing.package["layer_help"].filepath))["joined"](text)
    return text


def source(thing):
    """The code of a definition without its own docstring."""
    lines = thing.source.splitlines()
    if thing.docstring and not thing.is_attribute:
        start = thing.docstring.lineno - thing.lineno
        del lines[start : thing.docstring.endlineno - thing.lineno + 1]
        if start < len(lines) and not lines[start].strip():
            del lines[start]
    return textwrap.dedent("\n".join(lines))


def place(path):
    """Where a module or a definition stands: its notation, and its path without it."""
    package, *rest = path.split(".")
    notation = rest.pop(0) if rest[0] in NOTATIONS else ""
    return notation, ".".join([package, *rest])


@functools.cache
def read(root=ROOT):
    """The sections of the reference by key, each with its entries in the order of the source."""
    loader = griffe.GriffeLoader(search_paths=[root], allow_inspection=False)
    package = loader.load("rnnlab", try_relative_path=False)
    for module in package.modules.values():  # the package itself has no __all__ to begin with
        loader.expand_exports(module)
    loader.resolve_aliases(external=False)  # follows ``import *``, too
    sections, found, homes = {}, {}, {}
    for module in walk(package):
        if not module.exports or module.path in INTERNAL:
            continue
        notation, file = place(module.path)
        key = file.removeprefix("rnnlab").removeprefix(".")  # none for a notation's own __init__
        if key:
            sections.setdefault(key, Section(key)).modules[notation] = module
        for name in module.exports:
            thing = module[name]
            thing = thing.final_target if thing.is_alias else thing
            home, same = place(thing.path)
            entry = found.setdefault(same, Entry(name))
            entry.definitions[home] = thing
            entry.names.setdefault(home, []).append(f"{module.path}.{name}")
            if key:
                inside = f"{thing.module.path}.".startswith(f"{module.path}.")
                homes.setdefault(same, []).append((bool(notation), inside, key))
    for same, entry in found.items():
        # Described where a notation has it, else where it is defined, else where it is passed on.
        sections[max(homes[same])[-1]].entries.append(entry)
        for names in entry.names.values():
            entry.aliases += longer(names)
            names[:] = [name for name in names if name not in entry.aliases]
    for section in sections.values():
        section.modules = {n: section.modules[n] for n in ORDER if n in section.modules}
        section.entries.sort(key=lambda entry: (entry.first.module.path, entry.first.lineno))
        section.entries[:] = with_bases(section.entries)
    ordered = sorted(sections.values(), key=lambda s: (s.shared, -len(s.modules), s.key))
    return {section.key: section for section in ordered if section.entries}


def walk(package):
    """The modules of a package; of one inside it, only itself, if it says what is public."""
    for module in package.modules.values():
        if not module.is_alias:  # ``from rnnlab import init`` is one
            yield module
            if module.name in NOTATIONS or not module.exports:
                yield from walk(module)


def longer(names):
    """``rnnlab.torch.layers.LSTM``, where ``rnnlab.torch.LSTM`` is the same."""
    packages = {name.rpartition(".")[0] for name in names}
    return [name for name in names if name.rpartition(".")[0].rpartition(".")[0] in packages]


def with_bases(entries):
    """The entries with their members, and before them the package's classes they derive from."""
    found = {}
    for entry in entries:
        for notation, definition in entry.definitions.items():
            for base in reversed(definition.mro() if definition.is_class else ()):
                _, same = place(base.path)
                known = next((e for e in entries if base in e.definitions.values()), None)
                if known is None:
                    known = found.setdefault(same, Entry(base.name))
                    known.definitions[notation] = base
                    known.names[notation] = [base.path]
                if known not in entry.bases:
                    entry.bases.append(known)
        found[place(entry.first.path)[1]] = entry
    for entry in found.values():
        add_members(entry)
    return list(found.values())


def add_members(entry):
    """Fill in what a class has of its own; what it inherits leads to the base's member."""
    members = {}
    for notation, definition in entry.definitions.items():
        for name, thing in getattr(definition, "members", {}).items():
            public = "__call__" if name == "forward" else name  # torch's name for the call
            if not thing.docstring or (public.startswith("_") and public != "__call__"):
                continue
            member = members.setdefault(public, Entry(public))
            member.definitions[notation] = thing
            member.names[notation] = [
                f"{whole}.{n}" for whole in entry.names[notation] for n in {public: 0, name: 0}
            ]
    entry.members = sorted(members.values(), key=lambda member: member.name != "__call__")
    for base in entry.bases:
        for member in base.members:
            if member.name not in members:
                for notation in member.definitions:
                    names = entry.names.get(notation, ())
                    member.aliases += [f"{name}.{member.name}" for name in names]
