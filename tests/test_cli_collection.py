"""`smileaccess collection`, and enrolling, forgetting and reconciling with one, against the service's stand-in."""

from __future__ import annotations

import os
import pty
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from smileaccess import wiring
from smileaccess.keys import ALL_KEYS
from smileaccess.membership import load_roster
from smileaccess.model import Bill, Member, Payer
from smileaccess.settings import load
from tests.house import FACES, House, Result
from tests.standin import StandIn

SPEAKING, SMILING, NEUTRAL = (FACES / f"obama-{name}.jpg" for name in ("speaking", "smiling", "neutral"))
BIDEN = FACES / "biden-neutral.jpg"


class CloudHouse(House):
    """A house whose settings know the service's stand-in."""

    def __init__(self, folder: Path, service: StandIn) -> None:
        super().__init__(folder)
        self.service = service
        self.credentials = service.write_credentials(folder / "credentials")
        self.plain = self.config.read_text()
        self.use()

    def use(
        self, *, recognizers: str = '["rekognition", "embedded"]', region: str | None = None, url: str | None = None
    ) -> None:
        """Write the settings anew."""
        place = self.service.region if region is None else region
        self.config.write_text(
            f"{self.plain}[recognition]\nrecognizers = {recognizers}\n[rekognition]\n"
            f'region = "{place}"\nendpoint = "{url or self.service.url}"\nca_bundle = "{self.service.ca_file}"\n'
            f'credentials = "{self.credentials}"\nprofile = "door"\nenroller_profile = "enroller"\n'
        )

    def faces(self) -> dict[str, str]:
        """Return the collection's faces: the label by FaceId."""
        listed = self.service.client("admin").list_faces(CollectionId="smileaccess")["Faces"]
        return {face["FaceId"]: face.get("ExternalImageId", "") for face in listed}

    def members(self) -> dict[str, Member]:
        public = wiring.load_keys(load(self.config), ALL_KEYS).enroller_public
        with closing(self.spool()) as spool:
            return {each.name: each for each in load_roster(spool, public).members}

    def events(self) -> list[str]:
        with closing(self.spool()) as spool:
            return [each.kind for each in spool.events()]

    def bills(self) -> list[Bill]:
        with closing(self.spool()) as spool:
            return spool.bills(date(2020, 1, 1))

    def typed(self, answer: str, *arguments: str) -> int:
        """Run the command line at a terminal at which somebody types this."""
        leader, follower = pty.openpty()
        command = [sys.executable, "-m", "smileaccess", "--config", str(self.config), *arguments]
        os.write(leader, f"{answer}\n".encode())
        done = subprocess.run(command, stdin=follower, stdout=follower, stderr=follower, check=False)
        os.close(leader)
        os.close(follower)
        return done.returncode


@pytest.fixture
def house(tmp_path: Path, service: StandIn) -> CloudHouse:
    return CloudHouse(tmp_path, service)


@pytest.fixture
def made(house: CloudHouse) -> CloudHouse:
    """The collection is there."""
    house.service.client("admin").create_collection(CollectionId="smileaccess")
    return house


@pytest.fixture
def enrolled(made: CloudHouse) -> CloudHouse:
    """One man is enrolled, with two pictures."""
    result = enroll(made, "Barack Obama", SPEAKING, NEUTRAL)
    assert result.code == 0, result.err
    return made


def enroll(house: House, name: str, *photos: Path, options: tuple[str, ...] = ()) -> Result:
    return house.run("enroll", name, "--photo", *photos, "--consent", *options)


class TestAdministration:
    def test_create_makes_the_settings_collection_once_and_puts_it_on_record(self, house: CloudHouse) -> None:
        first, second = house.run("collection", "create"), house.run("collection", "create")
        assert (first.code, second.code) == (0, 0), first.err
        assert (first.out, second.out) == (
            "made collection smileaccess\n",
            "collection smileaccess: is there already\n",
        )
        assert house.events() == ["collection_created"]

    def test_create_tells_programs_too(self, house: CloudHouse) -> None:
        told = [house.run("collection", "create", "--json").json() for _ in range(2)]
        assert [each["created"] for each in told] == [True, False]
        assert told[0]["arn"].endswith(":collection/smileaccess")

    def test_describe_shows_arn_faces_model_and_age(self, enrolled: CloudHouse) -> None:
        told = enrolled.run("collection", "describe", "--json").json()
        assert (told["collection"], told["faces"], told["model"]) == ("smileaccess", 2, "7.0")
        shown = enrolled.run("collection", "describe").out
        assert all(word in shown for word in (told["arn"], "faces    2", "model    7.0", "created  "))

    def test_describe_of_a_collection_that_is_not_there_says_how_to_make_it(self, house: CloudHouse) -> None:
        result = house.run("collection", "describe")
        assert (result.code, "smileaccess collection create" in result.err) == (1, True)

    def test_list_marks_the_settings_own(self, made: CloudHouse) -> None:
        made.service.client("admin").create_collection(CollectionId="another")
        told = made.run("collection", "list", "--profile", "admin", "--json").json()
        assert told == {"collections": ["smileaccess", "another"], "own": "smileaccess"}
        assert "smileaccess  (of the settings)" in made.run("collection", "list", "--profile", "admin").out

    @pytest.mark.parametrize("command", [("list",), ("delete", "smileaccess", "--yes")])
    def test_with_the_enrollers_profile_it_is_refused_naming_what_is_needed(
        self, made: CloudHouse, command: tuple[str, ...]
    ) -> None:
        result = made.run("collection", *command)
        assert result.code == 1
        assert "more than config/iam/enroller.json gives" in result.err
        assert "--profile" in result.err
        assert made.faces() == {}

    def test_delete_tells_what_is_lost_and_puts_it_on_record(self, enrolled: CloudHouse) -> None:
        result = enrolled.run("collection", "delete", "smileaccess", "--yes", "--profile", "admin")
        assert (result.code, "2 faces, of 1 signed member" in result.out) == (0, True), result.err
        assert enrolled.service.client("admin").list_collections()["CollectionIds"] == []
        assert enrolled.events()[0] == "collection_deleted"

    def test_delete_tells_programs_too(self, enrolled: CloudHouse) -> None:
        result = enrolled.run("collection", "delete", "smileaccess", "--yes", "--profile", "admin", "--json")
        assert result.json() == {"deleted": "smileaccess", "faces": 2, "members": 1}

    def test_delete_without_a_terminal_must_be_confirmed(self, made: CloudHouse) -> None:
        result = made.run("collection", "delete", "smileaccess", "--profile", "admin")
        assert (result.code, "--yes" in result.err, made.faces()) == (1, True, {})

    def test_at_a_terminal_only_the_name_typed_deletes(self, made: CloudHouse) -> None:
        command = ("collection", "delete", "smileaccess", "--profile", "admin")
        assert made.typed("smile", *command) == 1
        assert made.faces() == {}
        assert made.typed("smileaccess", *command) == 0
        assert made.service.client("admin").list_collections()["CollectionIds"] == []

    def test_delete_of_another_collection_leaves_the_own(self, enrolled: CloudHouse) -> None:
        enrolled.service.client("admin").create_collection(CollectionId="another")
        result = enrolled.run("collection", "delete", "another", "--yes", "--profile", "admin")
        assert (result.code, "0 faces, of 0 signed members" in result.out, len(enrolled.faces())) == (0, True, 2)

    def test_where_there_is_no_record_it_works_and_says_so(self, house: CloudHouse) -> None:
        shutil.rmtree(house.keys)
        result = house.run("collection", "create")
        assert (result.code, "not on record" in result.err) == (0, True)
        result = house.run("collection", "delete", "smileaccess", "--yes", "--profile", "admin")
        assert (result.code, "of members who are not known here" in result.out) == (0, True)

    @pytest.mark.parametrize("command", [("create",), ("describe",), ("list",), ("delete", "x", "--yes")])
    def test_settings_without_a_region_are_an_error_that_names_it(
        self, house: CloudHouse, command: tuple[str, ...]
    ) -> None:
        house.use(recognizers='["embedded"]', region="")
        result = house.run("collection", *command)
        assert (result.code, '[rekognition] region = ""' in result.err) == (2, True)

    @pytest.mark.parametrize("command", ["create", "describe", "list", "delete"])
    def test_every_command_has_an_example(self, house: CloudHouse, command: str) -> None:
        assert "Example:" in house.run("collection", command, "--help").out


class TestEnroll:
    def test_a_person_is_in_the_list_and_in_the_collection(self, made: CloudHouse) -> None:
        result = enroll(made, "Barack Obama", SPEAKING, NEUTRAL, SMILING, options=("--json",))
        told = result.json()
        member = made.members()["Barack Obama"]
        assert {face.id: member.id for face in member.faces} == made.faces()
        assert [each["indexed"] for each in told["pictures"]] == [face.id for face in member.faces]
        assert all(each["cloud_similarity"] >= 99 for each in told["pictures"])
        assert (len(member.templates), told["member"]["faces"][0]["collection"]) == (3, "smileaccess")

    def test_people_are_shown_it_in_a_table_that_fits_and_what_it_cost(
        self, made: CloudHouse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        result = enroll(made, "Barack Obama", SPEAKING, NEUTRAL)
        assert "indexed" in result.out.splitlines()[0]
        assert "2 faces in collection smileaccess" in result.out
        assert "6 billed calls to Amazon Rekognition, 0.006 in all" in result.out
        assert [line for line in result.out.splitlines() if len(line) > 80] == []

    def test_what_it_cost_is_on_record_and_is_what_the_service_answered(self, enrolled: CloudHouse) -> None:
        (bill,) = enrolled.bills()
        asked = enrolled.service.count("IndexFaces") + enrolled.service.count("SearchFacesByImage")
        assert (bill.payer, bill.calls, bill.micros) == (Payer.DESK, asked, 1000 * asked)

    def test_what_a_failure_cost_is_on_record_and_told_too(self, made: CloudHouse) -> None:
        made.service.faults.error("IndexFaces", "AccessDeniedException")
        result = enroll(made, "Barack Obama", SPEAKING, options=("--json",))
        assert (result.code, made.members(), made.faces()) == (1, {}, {})
        assert "2 billed calls" in result.err
        assert [bill.calls for bill in made.bills()] == [2]

    def test_without_the_collection_it_says_how_to_make_it(self, house: CloudHouse) -> None:
        result = enroll(house, "Barack Obama", SPEAKING)
        assert (result.code, "smileaccess collection create" in result.err, house.members()) == (1, True, {})

    def test_a_service_that_cannot_be_reached_enrolls_nobody(self, house: CloudHouse) -> None:
        house.use(url="https://127.0.0.1:9")
        result = enroll(house, "Barack Obama", SPEAKING)
        assert (result.code, "Traceback" in result.err, house.members()) == (1, False, {})
        assert "[rekognition] endpoint" in result.err

    def test_a_face_that_takes_a_while_to_be_found_is_waited_for(self, made: CloudHouse) -> None:
        made.service.consistency_s = 0.6
        try:
            assert enroll(made, "Barack Obama", SPEAKING).code == 0
        finally:
            made.service.consistency_s = 0.0
        assert made.service.count("SearchFacesByImage") > 2

    def test_somebody_enrolled_by_the_embedded_recognizer_gets_faces_from_the_same_pictures(
        self, made: CloudHouse
    ) -> None:
        made.use(recognizers='["embedded"]')
        assert enroll(made, "Barack Obama", SPEAKING, NEUTRAL).code == 0
        assert (made.faces(), made.bills()) == ({}, [])
        made.use()
        assert enroll(made, "Barack Obama", SPEAKING, NEUTRAL).code == 0
        member = made.members()["Barack Obama"]
        assert (len(member.templates), len(member.faces), len(made.faces())) == (2, 2, 2)

    def test_import_enrolls_into_the_collection_and_tells_what_it_cost(self, made: CloudHouse) -> None:
        for name, photo in {"Barack Obama": SPEAKING, "Joe Biden": BIDEN}.items():
            (made.folder / "people" / name).mkdir(parents=True)
            shutil.copy(photo, made.folder / "people" / name)
        result = made.run("members", "import", made.folder / "people", "--consent")
        assert (result.code, "6 billed calls" in result.out) == (0, True), result.err
        assert sorted(made.faces().values()) == sorted(each.id for each in made.members().values())
        assert [bill.calls for bill in made.bills()] == [6]


class TestMembers:
    def test_list_counts_the_faces_in_this_collection_and_show_names_them(self, enrolled: CloudHouse) -> None:
        heading, line, *_ = enrolled.run("members", "list").out.splitlines()
        assert heading.split()[2:4] == ["pictures", "faces"]
        assert line.split()[3:5] == ["2", "2"]
        shown = enrolled.run("members", "show", "Barack Obama").out
        assert "faces     2 in smileaccess" in shown
        assert all(face_id in shown for face_id in enrolled.faces())
        told = enrolled.run("members", "show", "Barack Obama", "--json").json()["faces"]
        assert {each["id"] for each in told} == set(enrolled.faces())
        assert {each["model"] for each in told} == {"7.0"}

    def test_a_house_without_rekognition_has_no_such_column(self, tmp_path: Path) -> None:
        (tmp_path / "plain").mkdir()
        house = House(tmp_path / "plain")
        assert enroll(house, "Barack Obama", SPEAKING).code == 0
        assert "faces" not in house.run("members", "list").out
        assert "faces " not in house.run("members", "show", "Barack Obama").out


def forget(house: House, *options: str) -> Result:
    return house.run("members", "forget", "Barack Obama", "--yes", *options)


class TestForget:
    def test_the_faces_leave_the_collection_and_the_receipt_says_so(self, enrolled: CloudHouse) -> None:
        result = forget(enrolled)
        assert (result.code, "removed    2 faces from the collection" in result.out) == (0, True), result.err
        assert enrolled.faces() == {}

    def test_programs_are_told_too(self, enrolled: CloudHouse) -> None:
        told = forget(enrolled, "--json").json()
        assert (told["erased"]["faces"], told["faces_left"]) == (2, [])

    @pytest.mark.parametrize("as_json", [False, True])
    def test_where_the_service_cannot_be_reached_the_receipt_says_how_to_finish(
        self, enrolled: CloudHouse, *, as_json: bool
    ) -> None:
        enrolled.service.faults.error("DeleteFaces", "AccessDeniedException")
        result = forget(enrolled, *(["--json"] if as_json else []))
        assert (result.code, len(enrolled.faces()), "Barack Obama" in enrolled.members()) == (1, 2, False)
        assert "2 faces of it could not be removed from the collection" in result.err
        if as_json:
            assert [(each["collection"], each["faces"]) for each in result.json()["faces_left"]] == [("smileaccess", 2)]
        else:
            assert "not yet    2 faces are still in collection smileaccess" in result.out
            assert "smileaccess members reconcile --repair" in result.out
            assert [line for line in result.out.splitlines() if len(line) > 80] == []
        enrolled.service.faults.clear()
        assert enrolled.run("members", "reconcile", "--repair", "--yes").code == 0
        assert enrolled.faces() == {}

    def test_settings_without_rekognition_keep_nobody_but_the_faces_are_told(self, enrolled: CloudHouse) -> None:
        enrolled.use(recognizers='["embedded"]', region="")
        result = forget(enrolled)
        assert (result.code, "still in collection smileaccess" in result.out) == (1, True)
        assert "Barack Obama" not in enrolled.members()

    def test_settings_that_only_know_the_region_still_remove_them(self, enrolled: CloudHouse) -> None:
        enrolled.use(recognizers='["embedded"]')
        assert (forget(enrolled).code, enrolled.faces()) == (0, {})

    def test_without_boto3_the_person_is_forgotten_all_the_same(
        self, enrolled: CloudHouse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("smileaccess.recognizers.cloud", "smileaccess.recognizers.collection"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setitem(sys.modules, "boto3", None)
        result = forget(enrolled)
        assert (result.code, "boto3 is not installed" in " ".join(result.out.split())) == (1, True)
        assert "Barack Obama" not in enrolled.members()

    def test_of_one_that_does_not_verify_the_faces_are_not_known_and_that_is_told(self, enrolled: CloudHouse) -> None:
        member = enrolled.members()["Barack Obama"]
        with closing(sqlite3.connect(enrolled.database)) as db, db:
            db.execute("UPDATE members SET document = CAST(replace(document, 'Barack', 'Malory') AS BLOB)")
        result = enrolled.run("members", "forget", member.id, "--yes")
        assert (result.code, "members reconcile" in result.err) == (0, True)


def reconcile(house: House, *options: str) -> Result:
    return house.run("members", "reconcile", *options)


class TestReconcile:
    @pytest.fixture
    def torn(self, enrolled: CloudHouse) -> CloudHouse:
        """A signed face is gone, and a stranger's face is there under the member's label."""
        admin, member = enrolled.service.client("admin"), enrolled.members()["Barack Obama"]
        admin.delete_faces(CollectionId="smileaccess", FaceIds=[member.faces[0].id])
        picture = {"Bytes": BIDEN.read_bytes()}
        admin.index_faces(CollectionId="smileaccess", Image=picture, ExternalImageId=member.id)
        return enrolled

    def test_where_both_agree_it_is_0(self, enrolled: CloudHouse) -> None:
        result = reconcile(enrolled, "--json")
        assert (result.code, result.json()["agree"], result.json()["faces"]) == (0, True, 2), result.err
        assert reconcile(enrolled).out == "collection smileaccess: 2 faces, 2 signed for it\n"

    def test_differences_are_told_both_ways_and_nothing_is_changed(self, torn: CloudHouse) -> None:
        member, before = torn.members()["Barack Obama"], torn.faces()
        result = reconcile(torn, "--json")
        told = result.json()
        (stranger,) = before.keys() - {face.id for face in member.faces}
        assert (result.code, told["agree"], told["repaired"]) == (1, False, None)
        assert told["orphans"] == [{"face": stranger, "label": member.id, "label_names": "a member"}]
        assert told["missing"] == [{"member": member.id, "faces": [member.faces[0].id]}]
        assert (torn.faces(), torn.members()["Barack Obama"]) == (before, member)
        shown = reconcile(torn)
        assert stranger in shown.out
        assert member.faces[0].id in shown.out
        assert "--repair" in shown.err

    def test_repair_removes_orphans_signs_anew_and_is_on_record(self, torn: CloudHouse) -> None:
        before = torn.members()["Barack Obama"]
        result = reconcile(torn, "--repair", "--yes", "--why", "monthly")
        member = torn.members()["Barack Obama"]
        assert (result.code, "removed 1 face, signed 1 member anew" in result.out) == (0, True), result.err
        assert member == replace(before, version=before.version + 1, faces=before.faces[1:])
        assert list(torn.faces()) == [member.faces[0].id]
        assert torn.events()[:2] == ["collection_reconciled", "member_reconciled"]
        assert reconcile(torn).code == 0

    def test_repair_asks_first(self, torn: CloudHouse) -> None:
        before = torn.faces()
        result = reconcile(torn, "--repair")
        assert (result.code, "--yes" in result.err, torn.faces()) == (1, True, before)
        assert torn.typed("n", "members", "reconcile", "--repair") == 130
        assert torn.faces() == before
        assert torn.typed("y", "members", "reconcile", "--repair") == 0
        assert torn.faces() != before

    def test_who_has_no_face_left_is_to_be_enrolled_again(self, enrolled: CloudHouse) -> None:
        member = enrolled.members()["Barack Obama"]
        enrolled.service.client("admin").delete_faces(CollectionId="smileaccess", FaceIds=list(enrolled.faces()))
        result = reconcile(enrolled, "--repair", "--yes", "--json")
        assert (result.code, member.id in result.err) == (1, True)
        assert result.json()["repaired"]["enroll_again"] == [member.id]
        assert enroll(enrolled, "Barack Obama", SPEAKING, NEUTRAL).code == 0
        assert reconcile(enrolled).code == 0

    def test_a_collection_that_is_not_there_or_not_known_is_told(self, house: CloudHouse) -> None:
        assert reconcile(house).code == 1
        house.use(recognizers='["embedded"]', region="")
        result = reconcile(house)
        assert (result.code, '[rekognition] region = ""' in result.err) == (2, True)

    def test_where_somebody_does_not_verify_nothing_is_mended_and_nothing_is_asked(self, torn: CloudHouse) -> None:
        before = torn.faces()
        with closing(sqlite3.connect(torn.database)) as db, db:
            db.execute("UPDATE members SET document = CAST(replace(document, 'Barack', 'Malory') AS BLOB)")
        result = reconcile(torn, "--repair", "--yes")
        assert (result.code, "members that do not verify: 1" in result.err, torn.faces()) == (1, True, before)

    def test_people_are_shown_each_kind_under_its_own_heading(self, torn: CloudHouse) -> None:
        shown = reconcile(torn, "--repair", "--yes").out
        assert "\n\n1 face of the collection that nobody has signed" in shown
        assert "\\x0a" not in shown

    def test_listing_costs_nothing(self, enrolled: CloudHouse) -> None:
        bills: list[Any] = enrolled.bills()
        reconcile(enrolled)
        assert enrolled.bills() == bills


def test_the_door_knows_whom_the_collection_knows(enrolled: CloudHouse) -> None:
    """What enrolling signs is what the door's recognizer goes by."""
    member = enrolled.members()["Barack Obama"]
    assert {face.collection for face in member.faces} == {load(enrolled.config).rekognition.collection}
