"""What directory answers about professionals and establishments.

Everybody, and software with system/Practitioner.rs: `search_professionals(query, profession=None, speciality=None,
locality=None, establishment_id=None, limit=20, cursor=None)` and `professionals_at(establishment_id, limit=20,
cursor=None)` -> a page of `FoundProfessional`, `read_professional(professional_id)` -> `ProfessionalRead`,
`search_establishments(query, kind=None, locality=None, limit=20, cursor=None)` -> a page of `NamedEstablishment`,
`read_establishment(establishment_id)` -> `EstablishmentRead`.

Agents: `register_professional`, `change_professional(professional_id, changes, version=None)`,
`set_licence(professional_id, licence, since=None, until=None)`, `start_work(professional_id, establishment_id,
emergency=None)`, `end_work(professional_id, establishment_id)`, `register_establishment`,
`change_establishment(establishment_id, changes)`, `close_establishment(establishment_id)`.
"""

from typing import ClassVar, TypedDict

from services.directory.contract_sheets import Address
from services.refusals import Refusal

PROFESSIONAL_CHANGES: tuple[str, ...] = (
    "family_name", "first_name", "profession", "specialities", "language", "address",
)  # fmt: skip
"""What an agent changes of a professional; licence and workplaces have ways of their own."""

ESTABLISHMENT_CHANGES: tuple[str, ...] = ("name", "address")


class EstablishmentNotFound(Refusal):
    """No establishment of the directory has this id."""

    code: ClassVar[str] = "establishment_not_found"


class EstablishmentClosed(Refusal):
    """The establishment is closed: nobody begins to work there, and what is written of it stays."""

    code: ClassVar[str] = "establishment_closed"


class NamedEstablishment(TypedDict):
    """An establishment as shown beside a professional."""

    establishment_id: str
    name: str
    kind: str
    locality: str | None


class FoundProfessional(TypedDict):
    """One line of a search; licence: valid or suspended."""

    professional_id: str
    family_name: str
    first_name: str
    profession: str
    specialities: list[str]
    licence: str
    establishments: list[NamedEstablishment]


class ProfessionalsFound(TypedDict):
    """A page of professionals; `next_cursor` is null on the last."""

    professionals: list[FoundProfessional]
    next_cursor: str | None


class DatedWorkplace(NamedEstablishment):
    """A workplace with its time; `until` is null while it goes on. emergency: attached to the emergency service."""

    since: str
    until: str | None
    emergency: bool


class NotedLicence(TypedDict):
    """A licence as it was noted: state, from when to when, and when it was noted; one to come is among them."""

    licence: str
    since: str
    until: str | None
    noted_at: str


class ProfessionalHistory(TypedDict):
    """What agents alone are shown of a professional."""

    address: Address | None
    workplaces: list[DatedWorkplace]
    licences: list[NotedLicence]


class ProfessionalRead(FoundProfessional):
    """One professional. licence_since, licence_until: of the state that holds; history: null for who is no agent."""

    version: int
    language: str
    licence_since: str | None
    licence_until: str | None
    history: ProfessionalHistory | None


class EstablishmentsFound(TypedDict):
    """A page of establishments; `next_cursor` is null on the last."""

    organisations: list[NamedEstablishment]
    next_cursor: str | None


class EstablishmentRead(TypedDict):
    """One establishment; `closed_at` is null while it is open."""

    establishment_id: str
    name: str
    kind: str
    address: Address | None
    closed_at: str | None
