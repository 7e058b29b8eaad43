"""The background process, one per machine: it makes true what was wished for.

Always true here: wishes lie in the databases of the bases and of the state, never only in the queue; each step may be
killed and is done again; nothing here is asked by a page directly.
"""
