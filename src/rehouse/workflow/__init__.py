"""Parts of the workflow: the folder of a migration, its gates, decisions, status, and what its reports hold."""
