"""From a blueprint and a discovered source to a mapping that a person can confirm."""
