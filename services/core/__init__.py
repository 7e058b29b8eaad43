"""What every room stands on: errors, settings, paths, units, clock, language, logging.

Always true here: no other room is imported, nothing talks to the network, and only `settings` reads the environment.
"""
