"""Files become text: one loader per format, run in a child process of its own.

`reader.Reader` is the door: a path in, an `Extracted` out or a `DocumentError`. `registry` finds the loaders (a new
format is one new file with a `LOADER`), `detect` chooses among them by content. Always true here: a loader sees one
file and no network; text comes out normalised; what could not be read is said as an error or a notice, never left out
in silence. Cutting text into chunks does not belong here.
"""
