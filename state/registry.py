"""The families of transactions and what each declares; nothing here knows any of them by name.

A family is one module in `state/tx/` with a `FAMILY`. The registry finds them, holds them to the
conventions (numbers, codes, tables, hooks) when it is built, and answers by kind, code and name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple

import state.tx
from mgsnode.base.genesis import Genesis
from mgsnode.base.transaction import ENVELOPE_REFUSALS
from state.context import (
    CLOCK,
    DUE,
    PARAM,
    PAUSE,
    ROOT,
    VERSION,
    Action,
    Context,
    Fields,
    Hook,
    ParamSpec,
    Refusal,
    Rules,
)
from state.draft import Reader
from state.fields import Struct
from state.table import Table

FEE_WEIGHT_UNIT = 100  # the weight of a transfer
_CORE_TABLES: tuple[Table[Any, Any], ...] = (CLOCK, DUE, PARAM, PAUSE, ROOT, VERSION)


class Kind(NamedTuple):
    """A kind of transaction.

    `apply` refuses first, then writes; it gets fields that were checked. `cosigners` names
    accounts that have to sign beside the sender, `cosigning_keys` (given the sender) public keys
    that have to; neither must refuse.
    """

    name: str  # "family_verb"
    fields: Struct
    apply: Callable[[Context, Fields], None]
    weight: int  # of the base fee, in hundredths; the default of the parameter fee_weight_<kind>
    doc: str
    cosigners: Callable[[Reader, Fields], tuple[bytes, ...]] | None = None
    ends: bool = False  # it ends something open: a pause of the family does not stop it
    cosigning_keys: Callable[[Reader, bytes, Fields], tuple[bytes, ...]] | None = None


class EventSpec(NamedTuple):
    """An event: its values by position."""

    name: str
    values: Struct
    doc: str


class Law(NamedTuple):
    """Something that always holds; `check` says what is wrong, naming the record, or None."""

    name: str
    check: Callable[[Reader], str | None]


class Family(NamedTuple):
    """Everything about one family. Codes are 100 x number and up, tables 16 x number and up."""

    number: int
    name: str
    kinds: tuple[Kind, ...] = ()
    tables: tuple[Table[Any, Any], ...] = ()
    refusals: tuple[Refusal, ...] = ()
    params: tuple[ParamSpec, ...] = ()
    events: tuple[EventSpec, ...] = ()
    laws: tuple[Law, ...] = ()
    genesis: Callable[[Context, Genesis], None] | None = None
    # What changes in an earlier chain's state where a new genesis takes it over.
    carry: Callable[[Context, Genesis], None] | None = None
    due: Callable[[Context, bytes], None] | None = None  # (context, id of what fell due)
    # What a block begins with, before due work, and what takes effect at this height, after it:
    # each announces an object's id, then acts when resumed.
    at_start: Callable[[Context], Iterator[bytes]] | None = None
    at_height: Callable[[Context], Iterator[bytes]] | None = None
    actions: Mapping[str, Action] = {}  # what a proposal may ask of this family
    # Kinds whose fields follow from all actions: one family makes them.
    proposing: Callable[[Mapping[str, Action]], tuple[Kind, ...]] | None = None
    declares: tuple[str, ...] = ()  # hooks that it fires
    hooks: Mapping[str, Hook] = {}  # hooks of others that it hangs on


class Registry:
    """All families, in the order of their numbers, with the ways to look things up."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self.families = tuple(sorted(families, key=lambda family: family.number))
        self.family = {family.number: family for family in self.families}
        self.actions = {
            name: action for family in self.families for name, action in family.actions.items()
        }
        of = [(kind, family.number) for family in self.families for kind in self._kinds_of(family)]
        self.kinds = {kind.name: kind for kind, _ in of}
        self.family_of_kind = {kind.name: number for kind, number in of}
        self.events = {event.name: event for family in self.families for event in family.events}
        tables = [table for family in self.families for table in family.tables]
        self.tables = {table.number: table for table in (*_CORE_TABLES, *tables)}
        self.params = {spec.name: spec for spec in self._param_specs()}
        self.defaults = {name: spec.default for name, spec in self.params.items()}
        self.weight_param = {name: f"fee_weight_{name}" for name in self.kinds}
        self.refusals = dict(
            [*ENVELOPE_REFUSALS, *(code for family in self.families for code in family.refusals)]
        )
        self.hooks = {
            hook: tuple(family.hooks[hook] for family in self.families if hook in family.hooks)
            for declaring in self.families
            for hook in declaring.declares
        }
        self.rules = Rules(
            hooks=self.hooks,
            specs=self.params,
            actions=self.actions,
            families={family.name: family.number for family in self.families},
        )
        self._check()

    def _kinds_of(self, family: Family) -> tuple[Kind, ...]:
        made = family.proposing(self.actions) if family.proposing is not None else ()
        return family.kinds + made

    def _param_specs(self) -> list[ParamSpec]:
        specs = [spec for family in self.families for spec in family.params]
        for kind in self.kinds.values():
            doc = f"of the base fee for {kind.name}, in hundredths"
            specs.append(ParamSpec(f"fee_weight_{kind.name}", kind.weight, 10, 10_000, doc))
        return specs

    def _check(self) -> None:
        """Hold the families to the conventions, once, at start."""
        codes = [code for family in self.families for code, _ in family.refusals]
        names = [name for family in self.families for _, name in family.refusals]
        tables = [table.number for family in self.families for table in family.tables]
        actions = [name for family in self.families for name in family.actions]
        kinds = [kind.name for family in self.families for kind in self._kinds_of(family)]
        numbers = [family.number for family in self.families]
        for what in (codes, names, tables, actions, kinds, numbers):
            assert len(set(what)) == len(what), f"used twice: {sorted(map(str, what))}"
        for family in self.families:
            for code, _ in family.refusals:
                assert code // 100 == family.number, f"{family.name}: code {code}"
            for table in family.tables:
                assert table.number // 16 == family.number, f"{family.name}: {table}"
            for hook in family.hooks:
                assert hook in self.hooks, f"{family.name} hangs on {hook}, which nobody fires"
        for spec in self.params.values():
            assert spec.lowest <= spec.default <= spec.highest, spec.name

    def refusal_name(self, code: int) -> str:
        """The name of a receipt's code; "" for 0."""
        return self.refusals.get(code, "")


@cache
def standard_registry() -> Registry:
    """The families in `state/tx/`."""
    names = sorted(module.name for module in iter_modules(state.tx.__path__))
    modules = [import_module(f"state.tx.{name}") for name in names]
    return Registry(tuple(module.FAMILY for module in modules if hasattr(module, "FAMILY")))
