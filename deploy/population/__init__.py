"""An invented country: patients and professionals as many as Luxembourg's, with known duplicates among them.

`python -m deploy.population` writes the files; `people.patients` gives the same people one by one. The same seed makes
the same people, byte for byte. Names, places and shares are public facts; no person here exists.
"""
