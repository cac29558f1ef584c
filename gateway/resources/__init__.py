"""One blueprint per resource; a view says which question goes to which service, and nothing more."""
