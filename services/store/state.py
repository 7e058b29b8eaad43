"""The state database as one object: a repository for each table."""

from __future__ import annotations

from services.store.alerts import AlertRows
from services.store.api_keys import KeyRows
from services.store.bases import BaseRows
from services.store.conversations import ConversationRows, TurnRows
from services.store.database import Database
from services.store.feedback import FeedbackRows, GoldenRows
from services.store.figures import FigureRows
from services.store.folders import FolderRows
from services.store.jobs import JobRows
from services.store.ledger import LedgerRows
from services.store.migrations import migrate
from services.store.preferences import Preferences
from services.store.readings import ReadingRows
from services.store.servers import ServerRows
from services.store.workers import WorkerRows


class StateStore:
    """What was wished for and what was said. Thread-safe; several processes hold one at a time."""

    def __init__(self, url: str) -> None:
        """Open the database, migrating it where needed. Raises: DatabaseUnavailable."""
        self.database = Database(url)
        migrate(self.database)
        self.bases = BaseRows(self.database)
        self.servers = ServerRows(self.database)
        self.jobs = JobRows(self.database)
        self.conversations = ConversationRows(self.database)
        self.turns = TurnRows(self.database)
        self.workers = WorkerRows(self.database)
        self.preferences = Preferences(self.database)
        self.readings = ReadingRows(self.database)
        self.ledger = LedgerRows(self.database)
        self.figures = FigureRows(self.database)
        self.feedback = FeedbackRows(self.database)
        self.golden = GoldenRows(self.database)
        self.alerts = AlertRows(self.database)
        self.folders = FolderRows(self.database)
        self.keys = KeyRows(self.database)

    def close(self) -> None:
        """Let go of all connections."""
        self.database.close()
