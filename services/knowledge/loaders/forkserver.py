"""Loaded by the fork server of the readers, which imports it by name before the first child is forked."""

from services.knowledge.loaders.child import preload
from services.knowledge.loaders.registry import all_loaders

preload()
all_loaders()
