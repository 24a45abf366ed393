"""The journal of orders on a database: SQLite in a file, or PostgreSQL for several machines.

One schema (`schema`) and one set of statements (`statements`) serve both; what differs between the
two databases (connecting, locking, clocks and their errors) is in `database`. The transitions
themselves are in `transitions`.
"""

from .journal import SQLJournal

__all__ = ["SQLJournal"]
