"""Text becomes chunks: one chunker per strategy, which only says where to cut.

`registry.make_chunker` builds one from its spec, `chunks.make_chunks` turns its spans into chunks with page and
heading.
Always true here: a chunk's text is the document's text at its span; spans come in order and together cover every
character that is not white space; no chunk is longer than the embedder's window. Vectors do not belong here.
"""
