"""The catalogue of actions: what each word of a trace means, as one table that every view and every export reads.

A new action needs its row here, in `contract.ACTIONS`, and its plain words in the five message catalogues of the
gateway ("traces", "actions"); tests hold the three to one another.
Pure: no I/O, no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from services.audit.contract_histories import GROUPS as GROUPS

Code = Literal["C", "R", "U", "D", "E"]
"""What was done: created, read, updated, deleted (ended, taken away), or executed: a search, a log-in, a check
[FHIR R4 AuditEvent.action]."""


@dataclass(frozen=True)
class Action:
    """What one word of the catalogue means.

    group: what the reader of a history filters by. of: the kind of the object where an entry names none itself.
    words: the key of its plain words in the message catalogues.
    """

    name: str
    group: str
    of: str
    code: Code

    @property
    def words(self) -> str:
        """The key of its plain words."""
        return self.name

    @property
    def changes(self) -> bool:
        """True when it belongs to the activity history: it changes documents, who sees them, or settings."""
        return self.group in CHANGING and self.code in ("C", "U", "D")


CHANGING: Final = frozenset({
    "documents", "prescriptions", "binders", "sharing", "mandates", "emergency", "representation", "settings", "record",
})  # fmt: skip
"""The groups whose changes are changes of a record [seed 002: historique des activités]."""

# action | kind of object | what was done; under the name of its group
_TABLE: Final = """
record
  record.opened           record            C
  record.read             record            R
  record.state_changed    record            U
  record.closed           record            D
  record.reopened         record            U
  record.opposed          record            D
  record.exported         record            R
  record.destroyed        record            D
  state.searched          record            E
  timeline.read           record            R
documents
  document.prepared       document          E
  document.created        document          C
  document.searched       document          E
  document.read           document          R
  document.opened         document          R
  document.exported       document          R
  document.shown          document          R
  document.rejected       document          U
  document.versioned      document          U
  document.restored       document          U
  document.corrected      document          U
  document.removed        document          D
  document.destroyed      document          D
  rectification.asked     rectification     C
  rectification.answered  rectification     U
  rectification.searched  rectification     E
  removal.asked           removal           C
  removal.searched        removal           E
  removal.approved        removal           U
  removal.refused         removal           U
  deposit.read            deposit           R
  deposit.requested       deposit_wish      C
  deposit.opposed         deposit_wish      C
  deposit.wish_ended      deposit_wish      D
  deposit.searched        deposit_wish      E
  types.read              types             R
  tree.read               types             R
  study.searched          study             E
  study.opened            study             R
  study.shared            study             R
prescriptions
  prescription.searched   prescription      E
  prescription.read       prescription      R
  prescription.cancelled  prescription      U
  dispensation.created    dispensation      C
  dispensation.cancelled  dispensation      U
  dispensation.copied     dispensation      R
  dispensation.verified   dispensation      E
binders
  binder.searched         binder            E
  binder.created          binder            C
  binder.changed          binder            U
  binder.removed          binder            D
  binder.filled           binder            U
  binder.emptied          binder            U
sharing
  document.level_changed  document          U
  document.restricted     document          U
  document.unrestricted   document          U
  document.blocked        document          U
  document.released       document          U
  document.withheld       document          U
  document.unwithheld     document          U
  restriction.searched    restriction       E
  circle.added            circle            C
  circle.changed          circle            U
  circle.removed          circle            D
  circle.read             circle            R
  blocklist.read          blocklist         R
  blocklist.added         blocklist         C
  blocklist.removed       blocklist         D
  rights.read             rights            R
  rights.explained        rights            R
  rights.searched         rights            E
  access_options.read     rights            R
mandates
  mandate.opened          mandate           C
  mandate.prolonged       mandate           U
  mandate.closed          mandate           D
  mandate.ended           mandate           D
  mandate.searched        mandate           E
  presence_code.read      presence_code     R
  presence_code.regenerated presence_code   U
  code.issued             letter            C
  referring.read          referring         R
  referring.proposed      referring         C
  referring.signed        referring         U
  referring.notified      referring         U
  referring.ended         referring         D
  referring.transcribed   referring         R
  responsibility.opened   responsibility    C
emergency
  emergency.opened        emergency         C
  emergency.ended         emergency         D
reviews
  review.searched         review            E
  review.read             review            R
  review.taken            review            U
  review.released         review            U
  review.settled          review            U
  review.counted          review            R
  case.opened             case              C
  case.searched           case              E
  case.read               case              R
  case.taken              case              U
  case.released           case              U
  case.answered           case              U
  alert.searched          alert             E
  alert.read              alert             R
  alert.taken             alert             U
  alert.released          alert             U
  alert.settled           alert             U
  alert.counted           alert             R
representation
  representative.searched representative    E
  representative.recorded representative    C
  representative.ended    representative    D
  representative.admitted representative    U
  representative.dismissed representative   U
  assistant.searched      assistant         E
  assistant.invited       assistant         C
  assistant.accepted      assistant         U
  assistant.ended         assistant         D
settings
  setting.read            setting           R
  setting.changed         setting           U
  setup.read              setup             R
  setup.changed           setup             U
messages
  thread.created          thread            C
  thread.searched         thread            E
  thread.read             thread            R
  thread.written          thread            C
  thread.noted            thread            U
  thread.joined           thread            U
  thread.left             thread            U
  thread.archived         thread            U
  thread.attached         thread            C
  thread.opened           attachment        R
  thread.destroyed        thread            D
log
  log.read                access_history    R
  trace.archived          access_history    U
  trace.destroyed         access_history    D
  log.exported            access_history    R
  log.searched            access_history    E
  statistics.read         statistics        R
account
  account.invited         account           C
  account.activated       account           U
  account.read            account           R
  account.change_begun    account           E
  account.changed         account           U
  account.locked          account           U
  account.unlocked        account           U
  notification_settings.read account        R
  notification_settings.changed account     U
  activation.step         activation        E
  log_in.begun            session           E
  log_in.continued        session           E
  session.opened          session           E
  session.refreshed       session           E
  session.ended           session           E
  session.authenticated   session           E
  session.searched        session           E
  contact.added           contact           C
  contact.removed         contact           D
  password.changed        password          U
  password.reset_requested password         E
  password.reset          password          U
  luxtrust.linked         luxtrust          C
  luxtrust.unlinked       luxtrust          D
  passkey.added           passkey           C
  passkey.removed         passkey           D
  authenticator.added     authenticator     C
  authenticator.removed   authenticator     D
  notification.searched   notification      E
  notification.counted    notification      E
  notification.marked     notification      U
  stream.prepared         stream            C
  stream.opened           stream            R
  device.added            device            C
  device.searched         device            E
  device.removed          device            D
helpdesk
  letter.requested        letter            C
  letter.searched         letter            E
  letter.batched          letter_batch      C
  letter.posted           letter_batch      U
  letter.reprinted        letter            U
  message.reported        message           U
  message.searched        message           E
  helpdesk.requested      helpdesk_request  C
  helpdesk.searched       helpdesk_request  E
  helpdesk.read           helpdesk_request  R
  helpdesk.changed        helpdesk_request  U
  identity.checked        helpdesk_request  E
  opening.requested       opening           C
  opening.searched        opening           E
  opening.read            opening           R
  opening.changed         opening           U
patients
  record.searched         record            E
  patient.searched        patient           E
  patient.listed          patient           E
  patient.read            patient           R
  patient.registered      patient           C
  patient.changed         patient           U
  patient.merged          patient           U
  patient.unmerged        patient           U
  merge.searched          merge             E
  duplicate.searched      duplicate         E
  duplicate.settled       duplicate         U
directory
  professional.registered professional      C
  professional.read       professional      R
  professional.changed    professional      U
  establishment.registered establishment    C
  establishment.read      establishment     R
  establishment.changed   establishment     U
  directory.loaded        directory         U
software
  organisation.changed    establishment     U
  software.registered     software          C
  software.changed        software          U
  software.searched       software          E
  token.issued            token             C
  token.refused           token             E
  token.read              token             R
  token.revoked           token             D
  subscription.changed    subscription      U
  subscription.created    subscription      C
  subscription.ended      subscription      D
  subscription.read       subscription      R
  subscription.replayed   subscription      E
  subscription.resumed    subscription      U
  subscription.searched   subscription      E
  subscription.tested     subscription      E
  scrub.searched          scrub             E
"""

_CODES: Final[dict[str, Code]] = {"C": "C", "R": "R", "U": "U", "D": "D", "E": "E"}


def _read(table: str) -> Mapping[str, Action]:
    read: dict[str, Action] = {}
    group = ""
    for line in filter(None, table.splitlines()):
        if not line.startswith(" "):
            group = line
            continue
        name, of, code = line.split()
        if name in read or group not in GROUPS:
            raise ValueError(f"twice, or in no group: {name}")
        read[name] = Action(name, group, of, _CODES[code])
    return MappingProxyType(read)


CATALOGUE: Final = _read(_TABLE)
"""Every action by its name."""

CHANGES: Final = frozenset(name for name, action in CATALOGUE.items() if action.changes)
"""The actions of the activity history."""


def actions_of(group: str) -> frozenset[str]:
    """Returns the actions of a group, none of one that is not."""
    return frozenset(name for name, action in CATALOGUE.items() if action.group == group)
