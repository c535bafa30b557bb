"""Audits done twice: alone, and with two processes that look ahead. Both must say the same."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from mgsnode import audit
from mgsnode.archive import Archive
from mgsnode.auditors import open_auditors
from mgsnode.base.errors import MgsError
from mgsnode.base.genesis import Genesis
from state.ahead import Workers
from state.audit import AuditResult


@cache
def auditors() -> Workers:
    """Two processes, for as long as the tests run."""
    stack = ExitStack()
    atexit.register(stack.close)
    workers = stack.enter_context(open_auditors(2, None))
    assert workers is not None
    return workers


def audit_home(home: Path, **options: Any) -> AuditResult:
    """As `mgsnode.audit.audit_home`."""
    return _both(audit.audit_home, home, **options)


def audit_rpc(url: str, genesis: Genesis, **options: Any) -> AuditResult:
    """As `mgsnode.audit.audit_rpc`."""
    return _both(audit.audit_rpc, url, genesis, **options)


def audit_archive(archive: Archive, genesis: Genesis, **options: Any) -> AuditResult:
    """As `mgsnode.audit.audit_archive`."""
    return _both(audit.audit_archive, archive, genesis, **options)


def _both(function: Callable[..., AuditResult], *what: object, **options: Any) -> AuditResult:
    ahead: AuditResult | MgsError
    try:
        ahead = function(*what, workers=auditors())
    except MgsError as error:
        ahead = error
    try:
        alone = function(*what, **options)
    except MgsError as error:
        assert repr(ahead) == repr(error)
        raise
    assert ahead == alone
    return alone
