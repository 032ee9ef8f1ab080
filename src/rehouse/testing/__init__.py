"""For tests only: rehearsals, crashes at named points, real kills. Nothing in the product imports this package."""
