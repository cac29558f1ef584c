"""After the outages too: what dying and returning processes logged is well formed and carries no person's datum."""

from tests.system.test_logs import (
    test_every_log_line_of_ours_is_one_json_object as test_every_log_line_of_an_outage_is_one_json_object,
)
from tests.system.test_logs import (
    test_no_log_line_carries_a_name_a_matricule_a_title_a_code_or_a_token as test_no_log_line_of_an_outage_is_personal,
)

__all__ = [
    "test_every_log_line_of_an_outage_is_one_json_object",
    "test_no_log_line_of_an_outage_is_personal",
]
