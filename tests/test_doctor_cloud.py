"""The checks of Amazon Rekognition, against the stand-in over HTTPS; nothing of it is changed but one call billed."""

from __future__ import annotations

import configparser
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smileaccess import doctor
from smileaccess.doctor.asking import Key
from smileaccess.doctor.cloud import CREATION, PROBES, policy_of
from smileaccess.doctor.findings import Finding, Level, findings_of
from smileaccess.doctor.site import Site
from smileaccess.model import Payer
from tests.house import House
from tests.standin import CREDENTIALS, StandIn
from tests.standin.policies import shipped
from tests.test_doctor import DOCS, GOOD, Shifted, enroll, levels, only, site_of, without_enroller

HARMLESS = {probe.operation for probe in (*PROBES, CREATION)}
CLOUD = [check.name for check in doctor.CHECKS if check.cloud]
CALL_S = 0.4
"""Seconds until a call that hangs is given up."""


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials but those that a test writes."""
    for name in ("AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


@pytest.fixture
def service(standin: StandIn) -> Iterator[StandIn]:
    """The stand-in with an empty collection."""
    standin.reset()
    standin.client("admin").create_collection(CollectionId="smileaccess")
    yield standin
    standin.faults.clear()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def cloud_site(
    house: House, service: StandIn, toml: str = "", world: Mapping[str, Any] | None = None, **told: str
) -> Site:
    """Return a site at which nothing is wrong but what the test names: settings of [rekognition], or the world."""
    credentials = service.write_credentials(house.folder / "aws")
    cloud = {
        "region": service.region,
        "endpoint": service.url,
        "ca_bundle": str(service.ca_file),
        "credentials": str(credentials),
        "profile": "door",
        "enroller_profile": "enroller",
        **told,
    }
    section = "".join(f'{name} = "{value}"\n' for name, value in cloud.items())
    recognizers = '[recognition]\nrecognizers = ["rekognition", "embedded"]\n'
    return site_of(house, f"{recognizers}[rekognition]\n{section}{toml}", **{"call_s": 5.0, **(world or {})})


def ask(site: Site, *names: str) -> list[Finding]:
    """Make these checks one after the other, or all of the cloud."""
    with closing(site):
        wanted = [check for check in doctor.CHECKS if check.name in (names or CLOUD)]
        return [finding for check in wanted for finding in findings_of(check, site)]


def of(found: list[Finding], name: str) -> list[Finding]:
    return [finding for finding in found if finding.check == name]


def bills(house: House) -> list[tuple[Payer, int, int]]:
    with closing(house.spool()) as spool:
        return [(bill.payer, bill.calls, bill.micros) for bill in spool.bills(datetime(2000, 1, 1, tzinfo=UTC).date())]


class TestWhole:
    def test_a_good_door_is_fine_in_everything(self, house: House, service: StandIn) -> None:
        site = cloud_site(house, service, GOOD)
        enroll(house, faces=[("smileaccess", "7.0")])
        without_enroller(house)
        asked = [check.name for check in doctor.applicable(site)]
        found = ask(site, *asked)
        assert [finding for finding in found if finding.level is not Level.FINE] == []
        named = [name for name in asked if name not in {"central", "delivery"}]
        assert list(dict.fromkeys(finding.check for finding in found)) == named

    @pytest.mark.parametrize("profile", ["door", "admin"])
    def test_two_calls_are_billed_and_none_changes_anything(self, house: House, service: StandIn, profile: str) -> None:
        admin = service.client("admin")
        admin.index_faces(
            CollectionId="smileaccess",
            Image={"Bytes": (Path(doctor.__file__).parent.parent / "demo/faces/collins-smiling.jpg").read_bytes()},
        )
        before = (admin.list_collections(), admin.list_faces(CollectionId="smileaccess")["Faces"])
        made = len(service.calls)
        ask(cloud_site(house, service, profile=profile))
        calls = service.calls[made:]
        assert [call.operation for call in calls if call.operation not in HARMLESS] == [
            "DetectFaces",
            "SearchFacesByImage",
        ]
        after = (admin.list_collections(), admin.list_faces(CollectionId="smileaccess")["Faces"])
        assert (after[0]["CollectionIds"], after[1]) == (before[0]["CollectionIds"], before[1])
        assert bills(house) == [(Payer.DESK, 2, 2000)]

    def test_no_secret_and_no_whole_key_id_is_shown(self, house: House, service: StandIn) -> None:
        shown = str(ask(cloud_site(house, service)))
        for code in ("AccessDeniedException", "UnrecognizedClientException"):
            service.faults.error("*", code)
            shown += str(ask(site_of(house)))
        assert [part for key in CREDENTIALS.values() for part in key if part in shown] == []

    def test_the_docs_name_every_harmless_call(self) -> None:
        table = DOCS.read_text(encoding="utf-8").partition("<!-- calls -->")[2].partition("<!-- /calls -->")[0]
        named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
        assert named == ["DetectFaces", "SearchFacesByImage", *(probe.operation for probe in (*PROBES, CREATION))]

    def test_the_shipped_policies_are_what_is_permitted(self) -> None:
        assert policy_of("door") == {"DetectFaces", "SearchFacesByImage"}
        assert "IndexFaces" in policy_of("enroller")


class TestCredentials:
    def test_the_key_is_named_by_its_last_characters_and_its_place(self, house: House, service: StandIn) -> None:
        (found,) = ask(cloud_site(house, service), "credentials")
        assert found.found == "profile door: key ...DOOR from shared-credentials-file, region eu-central-1"

    def test_no_more_than_the_last_four_characters_of_any_id_are_shown(self) -> None:
        assert Key("an-id-of-another-form-1234", "env").shown == "...1234"

    def test_a_profile_that_is_not_there_is_a_fault_and_ends_the_questions(
        self, house: House, service: StandIn
    ) -> None:
        found = ask(cloud_site(house, service, profile="nobody"))
        assert "nobody" in only(of(found, "credentials"), "fault").found
        assert levels([finding for finding in found if finding.check != "credentials"]) == ["warning"] * 4
        assert service.count() == 1  # the collection's creation

    def test_no_credentials_at_all_are_a_fault(self, house: House, service: StandIn) -> None:
        found = ask(cloud_site(house, service, credentials="/nonexistent", profile=""), "credentials")
        assert "[rekognition] region, credentials" in only(found, "fault").advice

    @pytest.mark.parametrize("what", ["aws_access_key_id", "aws_secret_access_key"])
    def test_a_wrong_key_or_secret_is_a_fault_said_once(self, house: House, service: StandIn, what: str) -> None:
        site = cloud_site(house, service)
        path = house.folder / "aws"
        profiles = configparser.ConfigParser(interpolation=None)
        profiles.read(path)
        profiles["door"][what] = "AKIAWRONG00000000000"
        with path.open("w") as file:
            profiles.write(file)
        found = ask(site)
        assert "credentials" in only(found, "fault").found
        assert only(found, "fault").check == "service"
        assert service.count("ListCollections") == 0

    def test_certificates_that_cannot_be_read_are_a_fault(self, house: House, service: StandIn) -> None:
        found = ask(cloud_site(house, service, ca_bundle="/nonexistent"), "credentials")
        assert "ca_bundle" in only(found, "fault").found


class TestService:
    def test_its_latency_and_cost_are_told(self, house: House, service: StandIn) -> None:
        found = ask(cloud_site(house, service), "service")
        assert levels(found) == ["fine", "fine"]
        assert found[1].found.endswith("cost 0.001, which is on record")

    def test_without_a_record_the_bill_is_told_as_lost(self, house: House, service: StandIn) -> None:
        site = cloud_site(house, service)
        (house.keys / "chain").unlink()
        assert "not on record" in ask(site, "service")[1].found

    def test_a_slow_line_is_a_warning(self, house: House, service: StandIn) -> None:
        service.faults.latency("DetectFaces", 0.3)
        found = ask(cloud_site(house, service, "timeout_s = 0.2\n"), "service")
        assert "longer than the door waits" in only(found, "warning").found

    def test_what_is_no_answer_of_the_service_is_a_fault(self, house: House, service: StandIn) -> None:
        service.faults.garbage("DetectFaces", "body")
        found = ask(cloud_site(house, service), "service")
        assert "endpoint" in only(found, "fault").advice

    def test_another_certificate_is_a_fault(self, house: House, service: StandIn) -> None:
        found = ask(cloud_site(house, service, ca_bundle=""), "service")
        assert "certificate" in only(found, "fault").found

    def test_a_service_that_is_not_there_is_a_fault_said_once(self, house: House, service: StandIn) -> None:
        found = ask(cloud_site(house, service, endpoint="https://127.0.0.1:9"))
        assert only(found, "fault").check == "service"
        assert [each.level for each in found if each.check in {"collection", "rights"}] == ["warning", "warning"]

    @pytest.mark.parametrize("kind", ["hang", "drip"])
    def test_a_service_that_hangs_is_given_up_in_time(self, house: House, service: StandIn, kind: str) -> None:
        getattr(service.faults, kind)("*")
        found = ask(cloud_site(house, service, world={"call_s": CALL_S}))
        assert only(found, "fault").check == "service"
        assert "no answer within 0.4 s" in only(found, "fault").found
        assert service.count("ListCollections") == 0

    def test_a_throttled_one_is_a_warning_and_the_rest_is_asked(self, house: House, service: StandIn) -> None:
        service.faults.error("DetectFaces", "ProvisionedThroughputExceededException")
        found = ask(cloud_site(house, service))
        assert only(of(found, "service"), "warning").advice.startswith("look again in a minute")
        assert levels(of(found, "rights")) == ["fine", "fine"]
        assert service.count("DetectFaces") == 1

    @pytest.mark.parametrize(
        ("code", "word"),
        [("AccessDeniedException", "config/iam/door.json"), ("InternalServerError", "network")],
    )
    def test_a_refusal_or_outage_is_a_fault(self, house: House, service: StandIn, code: str, word: str) -> None:
        service.faults.error("DetectFaces", code)
        assert word in only(ask(cloud_site(house, service), "service"), "fault").advice

    def test_without_tls_it_warns(self, house: House, service: StandIn, tmp_path: Path) -> None:
        with StandIn(tls=False, folder=tmp_path) as plain:
            found = ask(cloud_site(house, service, endpoint=plain.url, ca_bundle=""), "service")
        assert "without TLS" in only(found, "warning").found


class TestServiceClock:
    @pytest.mark.parametrize(
        ("by_s", "level"),
        [(0, "fine"), (50, "fine"), (-75, "warning"), (75, "warning"), (-250, "fault"), (250, "fault")],
    )
    def test_the_difference_to_the_services_date_is_judged(
        self, house: House, service: StandIn, by_s: float, level: str
    ) -> None:
        (found,) = ask(cloud_site(house, service, world={"clock": Shifted(by_s)}), "service clock")
        assert found.level == level
        assert not by_s or ("ahead of" in found.found) is (by_s > 0)

    def test_a_signature_refused_for_its_time_is_a_fault_and_the_difference_is_told(
        self, house: House, service: StandIn
    ) -> None:
        service.faults.error("*", "RequestExpired")
        found = ask(cloud_site(house, service, world={"clock": Shifted(400)}))
        assert [each.check for each in found if each.level == "fault"] == ["service", "service clock"]
        assert "timedatectl" in of(found, "service")[-1].advice

    def test_without_an_answer_nothing_is_compared(self, house: House, service: StandIn) -> None:
        found = ask(cloud_site(house, service, endpoint="https://127.0.0.1:9"), "service clock")
        assert levels(found) == ["warning"]


class TestCollection:
    def test_the_enrollers_key_tells_what_the_doors_may_not(self, house: House, service: StandIn) -> None:
        (found,) = ask(cloud_site(house, service), "collection")
        assert found.level == "fine"
        assert "there, of face model 7.0, 0 faces" in found.found
        assert "not permitted, and that is right" in found.found

    def test_without_the_enrollers_key_a_search_tells_that_it_is_there(self, house: House, service: StandIn) -> None:
        (found,) = ask(cloud_site(house, service, enroller_profile=""), "collection")
        assert found.level == "fine"
        assert "there, of face model 7.0, its faces were not counted" in found.found

    @pytest.mark.parametrize("enroller", ["", "enroller"])
    def test_a_missing_one_is_a_fault_that_names_the_command(
        self, house: House, service: StandIn, enroller: str
    ) -> None:
        service.client("admin").delete_collection(CollectionId="smileaccess")
        found = ask(cloud_site(house, service, enroller_profile=enroller), "collection")
        assert "`smileaccess collection create`" in only(found, "fault").advice

    def test_the_enrollers_word_that_it_is_missing_counts_whatever_a_search_says(
        self, house: House, service: StandIn
    ) -> None:
        """Whether the service looks at the picture or for the collection first is not documented."""
        service.client("admin").delete_collection(CollectionId="smileaccess")
        service.faults.error("SearchFacesByImage", "InvalidImageFormatException")
        assert levels(ask(cloud_site(house, service), "collection")) == ["fault"]

    def test_one_that_the_door_may_not_search_is_a_fault(self, house: House, service: StandIn) -> None:
        service.faults.error("SearchFacesByImage", "AccessDeniedException")
        found = ask(cloud_site(house, service), "collection")
        assert "config/iam/door.json" in only(found, "fault").advice

    def test_throttled_is_a_warning(self, house: House, service: StandIn) -> None:
        service.faults.error("SearchFacesByImage", "ThrottlingException")
        assert levels(ask(cloud_site(house, service), "collection")) == ["warning"]

    def test_members_of_another_face_model_are_a_warning(self, house: House, service: StandIn) -> None:
        site = cloud_site(house, service)
        enroll(house, faces=[("smileaccess", "7.0")])
        assert levels(ask(site, "collection")) == ["fine"]
        enroll(house, faces=[("smileaccess", "6.0")])
        enroll(house, faces=[("another", "6.0")])
        found = only(ask(site_of(house), "collection"), "warning")
        assert found.found.startswith("1 of the members")
        assert "enroll" in found.advice


class TestRights:
    def test_keys_with_their_own_policies_are_fine(self, house: House, service: StandIn) -> None:
        site = cloud_site(house, service)
        found = of(ask(site, "collection", "rights"), "rights")
        assert levels(found) == ["fine", "fine"]
        assert all("not permitted, and that is right" in each.found for each in found)
        assert {call.operation for call in service.calls} >= HARMLESS

    def test_an_administrators_key_as_the_doors_is_one_warning(self, house: House, service: StandIn) -> None:
        found = only(ask(cloud_site(house, service, profile="admin"), "rights"), "warning")
        assert "administrator's" in found.found
        assert all(each in found.found for each in HARMLESS - {"DetectLabels"})
        assert "config/iam/door.json" in found.advice

    @pytest.mark.parametrize(
        "right", ["ListCollections", "DescribeCollection", "ListFaces", "IndexFaces", "DeleteFaces", "DeleteCollection"]
    )
    def test_each_right_too_many_is_named(self, house: House, right: str) -> None:
        with self.granting("door", right) as generous:
            found = ask(cloud_site(house, generous, enroller_profile=""), "rights")
        warned = only(found, "warning")
        assert warned.found == f"the door's key may do more than config/iam/door.json: {right}"

    def test_creation_is_tried_where_the_collection_is_known_to_exist(self, house: House) -> None:
        with self.granting("door", "CreateCollection") as generous:
            found = of(ask(cloud_site(house, generous), "collection", "rights"), "rights")
            names = generous.client("admin").list_collections()["CollectionIds"]
        assert "CreateCollection" in only(found, "warning").found
        assert names == ["smileaccess"]

    def test_creation_is_not_tried_by_another_keys_word(self, house: House, service: StandIn) -> None:
        """The enroller's key may belong to another account: what it finds says nothing about the door's."""
        found = ask(cloud_site(house, service), "rights")
        assert service.count("CreateCollection") - 1 == 1  # the fixture's own, and the enroller's
        assert any("the door's key: CreateCollection: not tried" in each.found for each in found)

    @pytest.mark.parametrize("enroller", ["", "enroller"])
    def test_creation_is_never_tried_where_it_is_not(self, house: House, enroller: str) -> None:
        with self.granting("door", "CreateCollection") as generous:
            generous.client("admin").delete_collection(CollectionId="smileaccess")
            generous.reset()
            found = ask(cloud_site(house, generous, enroller_profile=enroller), "rights")
            made = generous.count("CreateCollection")
        assert made == 0
        assert any("not tried" in each.found for each in found)

    def test_other_answers_do_not_show_that_it_exists(self, house: House, service: StandIn) -> None:
        service.client("admin").delete_collection(CollectionId="smileaccess")
        ask(cloud_site(house, service, profile="admin", enroller_profile=""), "rights")
        assert (service.count("ListCollections"), service.count("CreateCollection")) == (1, 1)  # the fixture's own

    def test_an_enroller_who_may_more_is_a_warning(self, house: House) -> None:
        with self.granting("enroller", "DeleteCollection") as generous:
            found = only(ask(cloud_site(house, generous), "rights"), "warning")
        assert found.found == "the enroller's key may do more than config/iam/enroller.json: DeleteCollection"

    def test_an_enroller_who_may_too_little_is_a_warning(self, house: House, service: StandIn) -> None:
        service.faults.error("IndexFaces", "AccessDeniedException")
        found = only(ask(cloud_site(house, service), "rights"), "warning")
        assert found.found == "the enroller's key may not do what it is for: IndexFaces"

    def test_an_enrollers_key_that_is_not_here_is_fine(self, house: House, service: StandIn) -> None:
        found = ask(cloud_site(house, service, enroller_profile="elsewhere"), "rights")
        assert {each.level.value for each in found} == {"fine"}
        assert "people are enrolled elsewhere" in found[0].found

    def test_one_key_for_both_is_a_warning(self, house: House, service: StandIn) -> None:
        site = cloud_site(house, service, enroller_profile="twin")
        path = house.folder / "aws"
        path.write_text(path.read_text() + path.read_text().split("\n\n")[0].replace("[door]", "[twin]") + "\n")
        assert "the door's own key" in only(ask(site, "rights"), "warning").found

    def test_an_answer_that_tells_nothing_is_said_to(self, house: House, service: StandIn) -> None:
        service.faults.error("DeleteFaces", "InvalidParameterException")
        found = ask(cloud_site(house, service), "rights")
        assert only(found, "warning").found == "the enroller's key: could not be told: DeleteFaces"

    @pytest.mark.parametrize(("code", "level"), [("ThrottlingException", "warning"), ("InternalServerError", "fault")])
    def test_a_service_that_stops_answering_ends_it(
        self, house: House, service: StandIn, code: str, level: str
    ) -> None:
        service.faults.error("ListFaces", code)
        assert levels(ask(cloud_site(house, service, profile="admin", enroller_profile=""), "rights")) == [level]
        assert service.calls[-1].operation == "ListFaces"

    def test_what_is_wrong_with_the_enrollers_key_does_not_hide_the_doors_rights(
        self, house: House, service: StandIn
    ) -> None:
        service.faults.error("ListFaces", "UnrecognizedClientException")
        found = ask(cloud_site(house, service), "rights")
        assert levels(found) == ["fault", "fine", "fine"]
        assert found[2].found.startswith("the door's key: ListCollections")

    @contextlib.contextmanager
    def granting(self, user: str, right: str) -> Iterator[StandIn]:
        """Give a stand-in whose user may one thing more, with the collection made."""
        policy = shipped()[user]
        more = {"Effect": "Allow", "Action": f"rekognition:{right}", "Resource": "*"}
        with StandIn(policies={user: {**policy, "Statement": [*policy["Statement"], more]}}) as made:
            made.client("admin").create_collection(CollectionId="smileaccess")
            yield made
