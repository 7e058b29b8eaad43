"""Where documents, chunks and vectors of a knowledge base are kept and found, behind `protocol.BaseStore`.

Always true here: what a search finds, the counts say; whatever implements the protocol passes the same contract suite.
Reading files, splitting and embedding do not belong here.
"""
