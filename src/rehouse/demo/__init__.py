"""`rehouse demo`: a whole migration of a sample company into a local sandbox, told step by step."""
