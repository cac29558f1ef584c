"""How many patients live in which commune: numbers for the statistics, and where nobody in particular lives."""

import csv
from functools import cache
from importlib.resources import files

from services.bus import rpc_system
from services.directory import contract, rules, rules_communes, store_communes
from services.directory.desk import Desk
from services.directory.rules_communes import Place, Span
from services.tokens import Context


@cache
def places() -> tuple[Place, ...]:
    """The localities of the communes, and the postal codes in use there as far as they are known; read once.

    A locality of which two communes have one each is not among them. Codes as published with GeoNames (CC BY 4.0).
    """
    text = files("services.directory").joinpath("communes.csv").read_text(encoding="utf-8")
    return tuple(
        Place(row["commune"], row["locality"].lower(), int(row["first_code"] or 0), int(row["last_code"] or 0))
        for row in csv.DictReader(text.splitlines())
    )


@cache
def spans() -> tuple[Span, ...]:
    """The postal codes that tell a commune by themselves."""
    return rules_communes.spans(places())


class Communes(Desk):
    """The entrypoint of the count by commune."""

    @rpc_system("audit")
    def patients_by_commune(
        self, context: Context, *, patient_ids: list[str] | None = None
    ) -> contract.PatientsByCommune:  # fmt: skip
        """How many people have their registered address in each commune: of all who are registered, or of these.

        Whoever was merged into another is counted as that one, and once. Beside the communes stand `abroad`, and
        `unknown` for an address in the country that names no locality or postal code that we know.
        Refuses: InvalidInput (no list, more than 1000 ids). [seed 002, Couverture géographique]
        """
        asked = None if patient_ids is None else rules.require_ids("patient_ids", patient_ids)
        with self.db.transaction() as session:
            return {"communes": store_communes.patients_by_commune(session, places(), spans(), asked)}
