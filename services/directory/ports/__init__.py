"""The world outside directory: the files that are loaded, and the reports of what was refused of them."""
