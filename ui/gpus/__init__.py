"""The GPUs page: cards, processes and host, which tick; servers with their ledger, and history, which stand longer."""
