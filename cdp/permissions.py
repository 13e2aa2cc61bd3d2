"""Who may open which page and do which act: the table of docs/permissions.md, and what tests/test_permissions.py holds against.

A line names what is done, what it takes, and the places where it is done: "GET name-of-url", "POST name-of-url", or
"POST name-of-url act=…" where one address does several things. Grants (taxonomy/rights.py) narrow it further by place.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from staff.roles import ROLES, permissions_of

ANYONE, LOGGED_IN, NOBODY = "anyone", "logged in", "nobody"


@dataclass(frozen=True, slots=True)
class Line:
    """`needs`: ANYONE, LOGGED_IN, NOBODY, or permissions, all of them. `key`: a write key will do. `only`: who else it must be."""

    area: str
    act: str
    needs: str | frozenset[str]
    places: tuple[str, ...]
    key: bool = False
    only: str = ""

    def lets(self, permissions: Iterable[str] | None, *, superuser: bool = False) -> bool:
        """Whether it is allowed to somebody with these permissions; None: to nobody in particular."""
        if isinstance(self.needs, str):
            return self.needs == ANYONE or (self.needs == LOGGED_IN and (superuser or permissions is not None))
        return superuser or (permissions is not None and self.needs <= set(permissions))


def line(area: str, act: str, needs: str, *places: str, key: bool = False, only: str = "") -> Line:
    wanted = needs if needs in (ANYONE, LOGGED_IN, NOBODY) else frozenset(needs.split())
    return Line(area, act, wanted, places, key, only)


def _of_model(area: str, what: str, model: str, *, add: str = "", change: str = "", delete: str = "") -> Iterator[Line]:
    """The five addresses that the admin has for every model. What is not said needs the model's own permission."""
    app, _underscore, name = model.partition("_")
    url = f"admin:{model}"
    yield line(area, f"see {what}", f"{app}.view_{name}", f"GET {url}_changelist", f"POST {url}_changelist", f"GET {url}_change", f"GET {url}_history", f"POST {url}_history")  # fmt: skip
    yield line(area, f"add {what}", add or f"{app}.add_{name}", f"GET {url}_add", f"POST {url}_add")
    yield line(area, f"change {what}", change or f"{app}.change_{name}", f"POST {url}_change")
    yield line(area, f"delete {what}", delete or f"{app}.delete_{name}", f"GET {url}_delete", f"POST {url}_delete")


def _of_item(what: str, model: str) -> Iterator[Line]:
    """A governed item: a draft, with a history that can be gone back in."""
    yield from _of_model("Standard", what, model)
    change = model.replace("_", ".change_", 1)
    yield line("Standard", f"bring back former {what}, settle two saves", change, f"POST admin:{model}_restore", f"POST admin:{model}_resolve")  # fmt: skip


def _of_sender(what: str, model: str) -> Iterator[Line]:
    yield from _of_item(what, model)
    view, add, change = (model.replace("_", f".{act}_", 1) for act in ("view", "add", "change"))
    url = f"admin:{model}"
    yield line("Standard", f"try a record on {what}", view, f"GET {url}_try", f"POST {url}_try")
    yield line("Standard", f"try a record on a form of {what}", change, f"POST {url}_try_unsaved object_id")
    yield line("Standard", f"try a record on a new form of {what}", add, f"POST {url}_try_unsaved")


_ACT = "POST admin:taxonomy_proposal_act act="
_USES = "ingestion.view_quarantinereason taxonomy.change_tag taxonomy.add_tagattribute taxonomy.add_mappingrule taxonomy.change_mappingrule"

LINES: tuple[Line, ...] = (
    line("Everybody", "health, log-in, language, a new password, an invitation", ANYONE,
         "GET healthz", "POST healthz", "GET readyz", "POST readyz", "GET admin:login", "POST admin:login", "POST set_language",
         "GET admin_password_reset", "POST admin_password_reset", "GET password_reset_done", "GET password_reset_confirm",
         "POST password_reset_confirm", "GET accept_invitation", "POST accept_invitation"),
    line("Everybody", "the codes' page, the API's description", ANYONE, "GET codes", "POST codes", "GET schema", "GET api_docs"),
    line("Everybody", "the dashboard; each block needs its own right", LOGGED_IN, "GET admin:index", "POST admin:index"),
    line("Everybody", "log out", ANYONE, "POST admin:logout"),
    line("Everybody", "the own account, password and notices", LOGGED_IN,
         "GET account", "POST account", "GET notices", "POST notices", "GET admin:password_change", "POST admin:password_change",
         "GET admin:password_change_done"),
    line("Everybody", "the texts of the admin's scripts", LOGGED_IN, "GET admin:jsi18n"),
    line("Everybody", "search of the whole admin: switched off", NOBODY, "GET admin:search"),
    line("Everybody", "see a row on the site: there is none", NOBODY, "GET admin:view_on_site"),
    *_of_item("categories", "taxonomy_category"),
    *_of_item("attributes", "taxonomy_attribute"),
    *_of_item("tags", "taxonomy_tag"),
    *_of_sender("sources", "taxonomy_source"),
    *_of_sender("mapping rules", "taxonomy_mappingrule"),
    line("Standard", "see the rules of a source in their order", "taxonomy.view_source",
         "GET admin:taxonomy_source_rules", "POST admin:taxonomy_source_rules"),
    line("Standard", "add a source from a vendor's pack", "taxonomy.add_source taxonomy.add_mappingrule",
         "GET admin:taxonomy_source_from_pack", "POST admin:taxonomy_source_from_pack"),
    line("Standard", "move a rule", "taxonomy.change_mappingrule", "POST admin:taxonomy_source_move"),
    line("Standard", "search while choosing a tag", "taxonomy.view_tag", "GET admin:autocomplete"),
    line("Standard", "be offered what the rows of a rule may fill", "taxonomy.view_mappingrule",
         "GET admin:taxonomy_mappingrule_choices", "POST admin:taxonomy_mappingrule_choices"),
    line("Standard", "see what is named like a name being typed: tags", "taxonomy.view_tag", "POST admin:taxonomy_tag_similar"),
    line("Standard", "see what is named like a name being typed: attributes", "taxonomy.view_attribute", "POST admin:taxonomy_attribute_similar"),
    line("Standard", "read and print the dictionary, search in it, say what was read, follow an item", "taxonomy.view_tag",
         *(f"GET dictionary{page}" for page in ("", "_tag", "_attribute", "_source", "_changes")),
         "POST dictionary_changes", "POST dictionary_search", "POST dictionary_follow"),
    line("Standard", "take the plan out as a workbook or CSV", "taxonomy.view_tag", "GET plan_exchange", "GET plan_export"),
    line("Standard", "propose what a workbook or CSV says", "taxonomy.view_tag taxonomy.add_proposal", "POST plan_exchange"),
    line("Standard", "see what an own upload would change, and propose it", "taxonomy.add_proposal",
         "GET plan_upload", "POST plan_upload", "GET plan_upload_answer", only="who uploaded it"),
    line("Standard", "take the plan out in the formats of others", "taxonomy.view_proposal",
         "GET admin:taxonomy_proposal_formats", "GET admin:taxonomy_proposal_formats_download", "POST admin:taxonomy_proposal_formats_download"),
    line("Standard", "propose what files in the formats of others say", "taxonomy.view_proposal taxonomy.add_proposal",
         "POST admin:taxonomy_proposal_formats", "POST admin:taxonomy_proposal_formats_propose"),
    line("Changes", "see unreleased changes, proposals, what the checks say of one; follow an item", "taxonomy.view_proposal",
         "GET admin:taxonomy_proposal_unreleased", "GET admin:taxonomy_proposal_changelist", "POST admin:taxonomy_proposal_changelist",
         "GET admin:taxonomy_proposal_change", "POST admin:taxonomy_proposal_change", "GET admin:taxonomy_proposal_history",
         "POST admin:taxonomy_proposal_history", "GET admin:taxonomy_proposal_checks", "POST admin:taxonomy_proposal_checks",
         "POST admin:taxonomy_proposal_follow"),
    line("Changes", "comment on a proposal", "taxonomy.view_proposal", f"{_ACT}comment"),
    line("Changes", "propose changes, or discard them", "taxonomy.add_proposal",
         "POST admin:taxonomy_proposal_unreleased", "GET admin:taxonomy_proposal_add", "POST admin:taxonomy_proposal_add"),
    line("Changes", "join a proposal as a co-author", "taxonomy.add_proposal", f"{_ACT}join"),
    line("Changes", "submit, pull back, withdraw, reword a proposal, leave out an item", "taxonomy.add_proposal",
         *(f"{_ACT}{act}" for act in ("submit", "pull_back", "withdraw", "edit", "drop")), only="its authors"),
    line("Changes", "sign a proposal, or ask for changes", "taxonomy.review_proposal", f"{_ACT}vote", only="departments asked, not its authors"),
    line("Changes", "release a signed proposal", "taxonomy.publish_release", f"{_ACT}release"),
    line("Changes", "release without sign-off, with a reason", "taxonomy.emergency_release", f"{_ACT}emergency"),
    line("Changes", "delete a proposal", NOBODY, "GET admin:taxonomy_proposal_delete", "POST admin:taxonomy_proposal_delete"),
    line("Changes", "try a proposal on recent events", "taxonomy.view_proposal ingestion.view_quarantinereason", "POST trial"),
    line("Changes", "see releases, and compare them", "taxonomy.view_release",
         "GET admin:taxonomy_release_changelist", "POST admin:taxonomy_release_changelist", "GET admin:taxonomy_release_change",
         "POST admin:taxonomy_release_change", "GET admin:taxonomy_release_history", "POST admin:taxonomy_release_history"),
    line("Changes", "propose to go back to a release", "taxonomy.add_proposal", "POST admin:taxonomy_release_back"),
    line("Changes", "review an emergency release", "taxonomy.review_proposal", "POST admin:taxonomy_release_review",
         only="departments that would have signed it; neither who made nor who wrote it"),
    line("Changes", "add, change or delete a release", NOBODY,
         "GET admin:taxonomy_release_add", "POST admin:taxonomy_release_add", "GET admin:taxonomy_release_delete",
         "POST admin:taxonomy_release_delete"),
    line("Changes", "see the checks of the plan", "taxonomy.view_checksetting",
         "GET admin:taxonomy_checksetting_changelist", "GET admin:taxonomy_checksetting_history",
         "POST admin:taxonomy_checksetting_history"),
    line("Changes", "to the checks' page", LOGGED_IN, "GET admin:taxonomy_checksetting_change", "POST admin:taxonomy_checksetting_change"),
    line("Changes", "weigh the checks", "taxonomy.change_checksetting", "POST admin:taxonomy_checksetting_changelist"),
    line("Changes", "add or delete a check", NOBODY, "GET admin:taxonomy_checksetting_add", "POST admin:taxonomy_checksetting_add",
         "GET admin:taxonomy_checksetting_delete", "POST admin:taxonomy_checksetting_delete"),
    line("Changes", "see who signs what, and who said so", "taxonomy.view_reviewpolicy",
         "GET admin:taxonomy_reviewpolicy_changelist", "POST admin:taxonomy_reviewpolicy_changelist", "GET admin:taxonomy_reviewpolicy_change",
         "GET admin:taxonomy_reviewpolicy_history", "POST admin:taxonomy_reviewpolicy_history"),
    line("Changes", "say what a department signs; it is told", "taxonomy.add_reviewpolicy",
         "GET admin:taxonomy_reviewpolicy_add", "POST admin:taxonomy_reviewpolicy_add", only="of one's own; stewards and administrators of others"),
    line("Changes", "change or delete what was said of it", NOBODY, "POST admin:taxonomy_reviewpolicy_change",
         "GET admin:taxonomy_reviewpolicy_delete", "POST admin:taxonomy_reviewpolicy_delete"),
    line("Customers", "find and see a customer, masked; every look is recorded", "profiles.view_customer",
         "GET customer_search", "POST customer_search", "GET customer", "POST customer", "GET customer_event", "POST customer_event",
         "GET event", "POST event"),
    line("Customers", "reveal a customer's numbers, with a reason that is recorded", "profiles.view_customer", "POST customer_reveal"),
    line("Incoming", "see how a source's events are sent", "taxonomy.view_source", "GET send", "GET how_to_send"),
    line("Incoming", "see what a source's files hold, download the template, check a file; nothing is stored", "taxonomy.view_source",
         "GET spec_of_source", "POST spec_of_source", "GET spec_download"),
    line("Incoming", "make a link for a partner", "taxonomy.view_source ingestion.add_speclink", "POST spec_of_source act=make"),
    line("Incoming", "revoke a partner's link", "taxonomy.view_source ingestion.change_speclink", "POST spec_of_source act=revoke"),
    line("Incoming", "the same for a partner: the link's address is the right to it", ANYONE,
         "GET spec_of_partner", "POST spec_of_partner", "GET spec_partner_download", key=True),
    line("Incoming", "make a write key there", "taxonomy.view_source ingestion.add_writekey", "POST how_to_send"),
    line("Incoming", "see the latest events", "ingestion.view_quarantinereason", "GET latest"),
    line("Incoming", "see the quarantine", "ingestion.view_quarantinereason",
         "GET admin:ingestion_quarantinereason_changelist", "POST admin:ingestion_quarantinereason_changelist",
         "GET admin:quarantine_cause", "POST admin:quarantine_cause", "GET admin:quarantine_event", "POST admin:quarantine_event", "GET admin:quarantine_export",
         "POST admin:quarantine_export", "GET admin:quarantine_digest", "POST admin:quarantine_digest"),
    line("Incoming", "see the scorecard of a source", "ingestion.view_quarantinereason",
         "GET admin:quarantine_scorecard", "POST admin:quarantine_scorecard", only="from whom no category or tag is hidden"),
    line("Incoming", "give a cause in quarantine to a department or a person; it is recorded", "ingestion.view_quarantinereason ingestion.add_replay",
         "POST admin:quarantine_cause_assign"),
    line("Incoming", "see what is held of one customer; every look is recorded", "ingestion.view_quarantinereason profiles.view_customer",
         "GET admin:quarantine_customer", "POST admin:quarantine_customer"),
    line("Incoming", "show what is masked of held events, with a reason that is recorded", "ingestion.view_quarantinereason profiles.view_customer",
         "POST admin:quarantine_event_reveal", "POST admin:quarantine_cause_reveal"),
    line("Incoming", "see what reading held events again would do", "ingestion.view_quarantinereason", "GET admin:desk"),
    line("Incoming", "read held events again, put right what was sent, let go of them", "ingestion.view_quarantinereason ingestion.add_replay",
         *(f"POST admin:desk act={act}" for act in ("try", "read", "weigh", "discard")), "GET admin:desk_table", "POST admin:desk_table",
         "POST admin:quarantine_event_discard"),
    line("Incoming", "propose what would let a cause's events in, after a look at its effect",
         "ingestion.view_quarantinereason ingestion.add_replay taxonomy.add_proposal taxonomy.change_tag taxonomy.change_attribute"
         " taxonomy.add_mappingrule taxonomy.change_mappingrule taxonomy.change_source",
         "POST admin:desk act=look", "POST admin:desk act=propose"),
    line("Incoming", "see replays", "ingestion.view_replay",
         "GET admin:ingestion_replay_changelist", "POST admin:ingestion_replay_changelist", "GET admin:ingestion_replay_change",
         "GET admin:ingestion_replay_history", "POST admin:ingestion_replay_history", "GET admin:ingestion_replay_progress",
         "POST admin:ingestion_replay_progress"),
    line("Incoming", "stop a replay, go on with it, take it back", "ingestion.view_replay ingestion.add_replay",
         *(f"POST admin:ingestion_replay_change act={act}" for act in ("stop", "go_on", "undo"))),
    line("Incoming", "read accepted events of the past anew", "ingestion.view_replay ingestion.add_replay ingestion.take_back",
         "GET admin:ingestion_replay_add", "POST admin:ingestion_replay_add"),
    line("Incoming", "delete a replay", NOBODY,
         "GET admin:ingestion_replay_delete", "POST admin:ingestion_replay_delete"),
    line("Incoming", "see what arrives and is not in the standard", "ingestion.view_quarantinereason",
         "GET admin:ingestion_discovered_changelist", "POST admin:ingestion_discovered_changelist", "GET admin:ingestion_discovered_change",
         "POST admin:ingestion_discovered_change"),
    line("Incoming", "map a name to a tag, or leave it alone for a while", "ingestion.view_quarantinereason taxonomy.add_mappingrule",
         "POST admin:discovered_act act=ignore", "POST admin:discovered_act act=look_again", "POST admin:discovered_act act=map"),
    line("Incoming", "see personal data in attributes not declared personal, masked", "ingestion.view_leak", "GET admin:ingestion_leak_changelist",
         "POST admin:ingestion_leak_changelist"),
    line("Incoming", "ignore such a leak until a day, or look at it again", "ingestion.view_leak ingestion.change_leak",
         "POST admin:leak_act act=ignore", "POST admin:leak_act act=look_again"),
    line("Incoming", "add an attribute of the standard to the tag it came with", _USES,  "POST admin:discovered_act act=use"),
    line("Incoming", "make an attribute of what came with a tag", f"{_USES} taxonomy.add_attribute", "POST admin:discovered_act act=add"),
    line("Incoming", "see the health of tags and sources", "ingestion.view_quarantinereason",
         *(f"{method} admin:{page}" for method in ("GET", "POST") for page in ("ingestion_stream_changelist", "tag_health", "source_health"))),
    line("Incoming", "see imports", "ingestion.view_importrun",
         "GET admin:ingestion_importrun_changelist", "POST admin:ingestion_importrun_changelist", "GET admin:ingestion_importrun_change",
         "GET admin:ingestion_importrun_history", "POST admin:ingestion_importrun_history", "GET admin:ingestion_importrun_progress",
         "POST admin:ingestion_importrun_progress"),
    line("Incoming", "import a file, go on with one", "ingestion.view_importrun ingestion.add_importrun",
         "GET admin:ingestion_importrun_add", "POST admin:ingestion_importrun_add", "POST admin:ingestion_importrun_change",
         "GET admin:ingestion_importrun_about", "POST admin:ingestion_importrun_about", "GET admin:ingestion_importrun_sample",
         "POST admin:ingestion_importrun_sample"),
    line("Incoming", "look at somebody's file before it is imported", "ingestion.view_importrun ingestion.add_importrun staff.see_personal_data",
         "GET admin:ingestion_importrun_check", "POST admin:ingestion_importrun_check", only="of one's own, without seeing personal data too"),
    line("Incoming", "take the failed rows of somebody's import home", "ingestion.view_importrun ingestion.add_importrun staff.see_personal_data",
         "GET admin:ingestion_importrun_failed_rows", "POST admin:ingestion_importrun_failed_rows", only="of one's own, without seeing personal data too"),
    line("Incoming", "match the columns of somebody's file, try or import it", "ingestion.view_importrun ingestion.add_importrun staff.see_personal_data",
         "GET admin:ingestion_importrun_match", "POST admin:ingestion_importrun_match", only="of one's own, without seeing personal data too"),
    line("Incoming", "see how a source's files are matched", "ingestion.view_filematching",
         "GET admin:ingestion_filematching_changelist", "POST admin:ingestion_filematching_changelist", "GET admin:ingestion_filematching_change",
         "GET admin:ingestion_filematching_history", "POST admin:ingestion_filematching_history"),
    line("Incoming", "use an earlier matching again", "ingestion.view_filematching ingestion.add_filematching", "POST admin:ingestion_filematching_change"),
    line("Incoming", "make or delete a matching without a file", NOBODY, "GET admin:ingestion_filematching_add", "POST admin:ingestion_filematching_add",
         "GET admin:ingestion_filematching_delete", "POST admin:ingestion_filematching_delete"),
    line("Incoming", "delete an import", NOBODY, "GET admin:ingestion_importrun_delete", "POST admin:ingestion_importrun_delete"),
    line("Incoming", "see what was taken back, and why", "ingestion.view_takeback",
         "GET admin:ingestion_takeback_changelist", "POST admin:ingestion_takeback_changelist", "GET admin:ingestion_takeback_change",
         "GET admin:ingestion_takeback_history", "POST admin:ingestion_takeback_history", "GET admin:ingestion_takeback_progress",
         "POST admin:ingestion_takeback_progress"),
    line("Incoming", "take wrong events back, and put them back", "ingestion.view_takeback ingestion.take_back",
         "GET admin:ingestion_takeback_add", "POST admin:ingestion_takeback_add", "POST admin:ingestion_takeback_change",
         "POST admin:take_back_batch"),
    line("Incoming", "delete what was taken back", NOBODY, "GET admin:ingestion_takeback_delete", "POST admin:ingestion_takeback_delete"),
    line("Incoming", "see near-duplicates", "ingestion.view_nearduplicate",
         "GET admin:ingestion_nearduplicate_changelist", "POST admin:ingestion_nearduplicate_changelist"),
    line("Incoming", "merge near-duplicates or let both count, and say so for a source", "ingestion.view_nearduplicate ingestion.change_nearduplicate",
         *(f"POST admin:near_act act={act}" for act in ("keep", "merge")),
         *(f"POST admin:near_all act={act}" for act in ("set", "keep_all", "merge_all"))),
    *_of_model("Incoming", "write keys", "ingestion_writekey", delete=NOBODY),
    line("Incoming", "rotate or revoke a write key", "ingestion.change_writekey",
         "GET admin:ingestion_writekey_rotate", "POST admin:ingestion_writekey_rotate", "GET admin:ingestion_writekey_revoke",
         "POST admin:ingestion_writekey_revoke"),
    *_of_model("Incoming", "webhooks in", "ingestion_hook", delete=NOBODY),
    line("Incoming", "add the webhook in of a vendor", "ingestion.add_hook", "GET admin:ingestion_hook_of_vendor", "POST admin:ingestion_hook_of_vendor"),
    line("Incoming", "give a webhook in a new secret", "ingestion.change_hook",
         "GET admin:ingestion_hook_new_secret", "POST admin:ingestion_hook_new_secret"),
    *_of_model("Incoming", "MQTT topics", "ingestion_mqtttopic", delete=NOBODY),
    *_of_model("Incoming", "failed requests", "ingestion_failedrequest", add=NOBODY, change=NOBODY, delete=NOBODY),
    *_of_model("People", "colleagues", "staff_user"),
    line("People", "invite again, unlock, close an account or open it again", "staff.change_user",
         *(f"{method} admin:staff_user_{act}" for act in ("invite_again", "unlock", "close_account") for method in ("GET", "POST"))),
    *_of_model("People", "departments", "staff_department"),
    *_of_model("People", "who may what", "taxonomy_grant"),
    *_of_model("People", "roles of the company's own", "auth_group"),
    line("People", "see the roles of the product", "auth.view_group", "GET admin:auth_group_change role"),
    line("People", "change or delete a role of the product", NOBODY, "POST admin:auth_group_change role", "POST admin:auth_group_delete role"),
    *_of_model("People", "single permissions", "auth_permission", add=NOBODY, change=NOBODY, delete=NOBODY),
    *_of_model("People", "the access log", "staff_accesslog", add=NOBODY, change=NOBODY, delete=NOBODY),
    *_of_model("People", "the own read tokens", "staff_readtoken", change=NOBODY, delete=NOBODY),
    line("People", "revoke an own read token", "staff.view_readtoken", "GET admin:staff_readtoken_revoke", "POST admin:staff_readtoken_revoke"),
    *_of_model("People", "jobs of the machinery", "procrastinate_procrastinatejob", add=NOBODY, change=NOBODY, delete=NOBODY),
    *_of_model("Outgoing", "webhooks", "ingestion_subscriber"),
    line("Outgoing", "see a webhook's messages", "ingestion.view_subscriber",
         "GET admin:ingestion_subscriber_messages_sent", "POST admin:ingestion_subscriber_messages_sent"),
    line("Outgoing", "test a webhook, give it a new secret", "ingestion.change_subscriber",
         *(f"{method} admin:ingestion_subscriber_{act}" for method in ("GET", "POST") for act in ("send_test", "new_secret"))),
    *_of_model("Outgoing", "what was sent", "ingestion_dispatch", add=NOBODY, change=NOBODY, delete=NOBODY),
    line("Outgoing", "send something again", "ingestion.change_subscriber ingestion.view_dispatch",
         "GET admin:ingestion_dispatch_resend", "POST admin:ingestion_dispatch_resend"),
    line("API", "send events", NOBODY, "POST events", key=True),
    line("API", "read receipts of the own source's events", NOBODY, "GET receipt", key=True),
    line("API", "send as Segment's clients do: the key is in the request, whoever sends it", ANYONE,
         "POST segment", "GET segment_settings", "POST segment_settings", key=True),
    line("API", "ask as RudderStack's clients do before they send", NOBODY,
         "GET segment_source_config", "POST segment_source_config", key=True),
    line("API", "take the browser snippet, for pages of any site", ANYONE, "GET snippet", "GET snippet_newest", key=True),
    line("API", "send files of the own source and read what became of them", NOBODY,
         "POST imports", "GET import", "GET import_failed_rows", "GET import_findings", key=True),
    line("API", "send CloudEvents", NOBODY, "POST cloudevents", key=True),
    line("API", "send by webhook: its signature is in the request, whoever sends it", NOBODY,
         "GET hook", "POST hook", "GET hook_with_token", "POST hook_with_token"),
    line("API", "read the plan; with a read token what its person may read", "taxonomy.view_tag",
         "GET plan", "GET plan_tag", "GET releases", "GET release", "GET release_diff", key=True),
    line("API", "look up and read customers, masked", "profiles.view_customer", "POST api_lookup", "GET api_customer", "GET api_timeline"),
)  # fmt: skip

HEAD = """# Who may do what

What each role may open and do. Written by `manage.py permissions --write`; `tests/test_permissions.py` opens every page and does
every act as each of them and fails where this table does not say what happens, or does not list a place.

A role says what somebody may do at all. *Who may what* in the admin says where in the standard: by category, or by whose sources,
for departments or single colleagues. Nobody signs what they wrote, superusers included. ● may, · may not; a word beside ● says
who else it must be. The roles' rows of the API are those of their read tokens with every scope; "key" is a source's write key.
"""
_SHORT = {
    "marketer": "mark.", "sales_rep": "sales", "service_agent": "serv.", "data_steward": "stew.", "product_manager": "prod.",
    "engineer": "eng.", "compliance_officer": "comp.", "administrator": "adm.",
}  # fmt: skip


def table() -> str:
    """The page, in Markdown."""
    parts = [HEAD]
    heads = ["to do what", "anyone", *(_SHORT[role] for role in ROLES), "super", "key", "who else"]
    for area in dict.fromkeys(one.area for one in LINES):
        parts += [f"## {area}\n", f"| {' | '.join(heads)} |", "|---|" + ":-:|" * (len(heads) - 2) + "---|"]
        for one in LINES:
            if one.area == area:
                cells = [
                    one.lets(None),
                    *(one.lets(permissions_of(role)) for role in ROLES),
                    one.lets((), superuser=True),
                    one.key or one.lets(None),
                ]
                parts.append(f"| {one.act} | {' | '.join('●' if cell else '·' for cell in cells)} | {one.only} |")
        parts.append("")
    parts += ["## Places\n", "Where each of these is done: the method and the name of the address.\n"]
    parts += [f"- **{one.act}**: {', '.join(f'`{place}`' for place in one.places)}" for one in LINES]
    return "\n".join(parts) + "\n"
