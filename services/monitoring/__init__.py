"""Alerts: what is not well with this machine, said once, on Home, in the command line and to a webhook.

Always true here: an alert is raised and cleared only after its cause has held for a while, so that a value that
flickers makes one alert; a value that is not known neither raises nor clears; rows hold codes and parameters; only the
worker raises and clears, others read. Nothing leaves the machine unless an operator has entered an address.

`metrics` tells Prometheus the same machine's figures, from what the worker saw and what is stored: it asks nobody. Its
counters never fall while a process lives; what is not known is left out.
"""
