"""The mapping language: one schema for the blueprint of a pair and the mapping of one migration."""
