"""Directory: who patients, professionals and establishments are.

Owns identity sheets, matricules with their history, professions, licences and workplaces, and the names to show for
ids. It never decides about records, knows no account and no record, and calls no one; a matricule leaves it in no
event, trace, letter or refusal.
"""

from nameko.timer import timer

from services.db import now
from services.directory import contract
from services.directory.communes import Communes
from services.directory.duplicates import Duplicates
from services.directory.establishments import Establishments
from services.directory.licences import AT_ONCE, Licences
from services.directory.likeness import Likeness
from services.directory.majority import Majority
from services.directory.merging import Merging
from services.directory.names import Names
from services.directory.openings import Openings
from services.directory.patients import Patients
from services.directory.professionals import Professionals
from services.directory.searching import Searching
from services.directory.sheets import Sheets
from services.directory.workplaces import Workplaces

SWEEP_EVERY = 3600  # seconds
CHANGE_LICENCES_EVERY = 5  # seconds: what is to end within a minute is told within moments


class Directory(
    Patients, Sheets, Openings, Merging, Searching, Duplicates, Professionals, Licences, Workplaces, Establishments,
    Names, Majority, Communes, Likeness,
):  # fmt: skip
    """The nameko service; shapes and refusals are in contract.py."""

    name = contract.NAME

    @timer(interval=CHANGE_LICENCES_EVERY)
    def change_licences(self) -> None:
        """Ends the suspensions whose time is over, and begins what was noted for a day that has come."""
        while self._change_due_licences(now()) == AT_ONCE:
            pass

    @timer(interval=SWEEP_EVERY)
    def sweep_openings(self) -> None:
        """Ends the requests for a record that nobody worked off within a year, with what they say of people."""
        self._sweep_openings()
