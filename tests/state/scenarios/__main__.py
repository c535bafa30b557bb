"""`python -m tests.state.scenarios` writes the vectors again."""

from tests.state.scenarios.base import write

write()
