"""Directory: who patients, professionals and establishments are.

Owns identity sheets, matricules with their history, professions, licences and workplaces, and the names to show for
ids. It never decides about records, knows no account and no record, and calls no one; a matricule leaves it in no
event, trace, letter or refusal.
"""

from services.directory import contract
from services.directory.establishments import Establishments
from services.directory.names import Names
from services.directory.patients import Patients
from services.directory.professionals import Professionals
from services.directory.searching import Searching


class Directory(Patients, Searching, Professionals, Establishments, Names):
    """The nameko service; shapes and refusals are in contract.py."""

    name = contract.NAME
