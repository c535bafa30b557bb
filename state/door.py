"""The records by which the door judges: those at the head, beside the ledger's thread.

`learn` is called by the thread that commits, `open` by the one that admits; between them stands
a queue, so that each touches a cache of its own and neither waits. What is read a moment too
early or too late is advice gone stale: execution judges again. It holds no rule.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from state.context import Params
from state.draft import Draft, Reader, RecordCache
from state.registry import Registry
from state.store import Store

_NEWS_MAX: Final = 16  # blocks that the door has not heard of yet


class Door:
    """See the module's law."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._defaults = registry.defaults
        self._news: deque[list[tuple[bytes, Any]]] = deque()
        self._missed = False
        self._forget()

    def _forget(self) -> None:
        self._records = RecordCache(self._store)
        self.params = Params(self._records, self._defaults)

    def learn(self, draft: Draft) -> None:
        """A block's draft has just been committed."""
        if len(self._news) >= _NEWS_MAX:
            self._missed = True  # nobody stands at the door: it starts anew
            self._news.clear()
        self._news.append(list(draft.news()))  # not what it read: that can be much

    def open(self) -> Reader:
        """The records as far as they have been committed."""
        if self._missed:
            self._missed = False
            self._news.clear()
            self._forget()
        if self._news:
            for _ in range(_NEWS_MAX):
                try:
                    news = self._news.popleft()
                except IndexError:  # `learn` may clear the queue at any moment
                    break
                self._records.take(news)
            self.params = Params(self._records, self._defaults)
        return self._records
