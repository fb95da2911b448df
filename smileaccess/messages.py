"""The kinds of what the door tells: what each means, why it comes, what to do, and how grave it is.

`journalctl -x` shows the same beside a line, from systemd/smileaccess.catalog, which is drawn from this table.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from smileaccess.model import FAULTS, Outcome, Reason

NAMESPACE = uuid.UUID("7558c8c8-7d28-4f6d-8dfc-84e8215850a5")
"""Of the message ids, drawn once; another one would part every journal from its explanations."""

CRITICAL, ERROR, WARNING, NOTICE, INFO = 2, 3, 4, 5, 6
"""syslog's priorities, RFC 5424, 6.2.1."""

_WIDTH = 76  # journalctl puts three columns before it
_WORD = re.compile(r"(?:`[^`]*`|[^\s`])+")


@dataclass(frozen=True, slots=True)
class Message:
    """A kind of message: its `subject`, the usual `cause`, what to do about it (`remedy`), and its priority.

    @FIELD@ stands for a field of the journal's line.
    """

    subject: str
    cause: str
    remedy: str
    priority: int


NOTHING_TO_DO = "Nothing needs to be done."

_ATTEMPT = "`smileaccess attempts show @ATTEMPT_ID@` shows what was measured."

_REFUSALS: dict[Reason, tuple[str, str, str]] = {
    Reason.INTERNAL_ERROR: (
        "the door failed inside",
        "Something that nobody foresaw ended the attempt, or the strike's guard was gone, or the daemon was stopped.",
        "Read the lines before this one: `journalctl -u smileaccess ATTEMPT_ID=@ATTEMPT_ID@`. Where they show a "
        "traceback, it is a fault of the program: report it.",
    ),
    Reason.CAMERA_UNAVAILABLE: (
        "no picture from the camera",
        "The camera is not plugged in, is used by another program, or gave no picture in time.",
        "Check its cable, then run `smileaccess doctor`. It is tried again by itself.",
    ),
    Reason.RECOGNIZER_UNAVAILABLE: (
        "the recognizer gave no answer",
        "The network, the service or its credentials failed, and no fallback was there or allowed to open.",
        "Run `smileaccess doctor`; the lines before this one name the cause.",
    ),
    Reason.RECORDS_UNAVAILABLE: (
        "the attempt could not be put on record",
        "The disk is full, read-only or too slow, or the record is damaged. No record, no entry.",
        "Make room or repair the disk, then run `smileaccess doctor` and `smileaccess attempts verify`.",
    ),
    Reason.SPENDING_CAP: (
        "the cap on paid calls is reached",
        "As many calls were billed as [spending] allows for the day, the month or the minute.",
        "Look at `smileaccess door status`; raise the cap, or wait for the next day or month (UTC).",
    ),
    Reason.OPERATOR_LOCKED: (
        "an operator has locked the door",
        "Nobody is let in until an operator takes the lock back; the way out works.",
        "`smileaccess door status` says who and since when; `smileaccess door release` takes it back.",
    ),
    Reason.LOCKED_OUT: (
        "too many refusals in a row",
        "After [lockout] free refusals the door stays shut for everybody for a while.",
        "Wait, or look at who was refused before: `smileaccess attempts list --outcome denied`. Where it was somebody "
        "you know, `smileaccess door release` ends it.",
    ),
    Reason.NO_FACE: (
        "nobody was seen",
        "No face was in the picture, or none that the recognizer could find.",
        "Where this happens to people who stand before the door, check where the camera looks.",
    ),
    Reason.TOO_DARK: (
        "too dark to see anybody",
        "The picture, or the face in it, was darker than [quality] asks for.",
        "Put a light where the person stands, and none behind them.",
    ),
    Reason.TOO_FAR: (
        "the face was too small",
        "The face was smaller than [quality] face_px.",
        "Ask people to step closer, or put the camera nearer to where they stand.",
    ),
    Reason.TOO_BLURRED: (
        "the face was blurred",
        "The person moved, there is little light, or the lens is dirty or out of focus.",
        "Clean and focus the lens, and give it light.",
    ),
    Reason.FACE_OCCLUDED: (
        "the face was covered",
        "Eyes, nose or mouth could not be seen: a mask, a scarf, dark glasses, a hand.",
        "Ask people to uncover their faces.",
    ),
    Reason.MULTIPLE_FACES: (
        "more than one person was seen",
        "A second face of comparable size was in the picture.",
        "Ask people to come one at a time; where a poster or a mirror is in view, turn the camera or set [camera] "
        "region.",
    ),
    Reason.TRACK_LOST: (
        "the face was lost from view",
        "The person left the picture, or another one took the place.",
        "Ask people to stay in view until the door has answered.",
    ),
    Reason.NOT_RECOGNIZED: (
        "nobody enrolled looks like this",
        "A stranger, or a member whose enrolled pictures are unlike how they look at this door.",
        "For a member, add pictures from this camera: `smileaccess enroll --camera`.",
    ),
    Reason.AMBIGUOUS_MATCH: (
        "more than one member looks like this",
        "Two members came within [recognition] margin of each other.",
        "Add pictures of both, or see `smileaccess members list` for a person who was enrolled twice.",
    ),
    Reason.MEMBERS_STALE: (
        "the members' list is too old",
        "The central database was out of reach for longer than [mysql] max_stale_h.",
        "Bring the network or the database back: `smileaccess door status`.",
    ),
    Reason.MEMBER_DISABLED: (
        "the member is disabled",
        "An operator has disabled the member.",
        "`smileaccess members enable` lets them in again.",
    ),
    Reason.MEMBER_EXPIRED: (
        "the membership is not valid now",
        "It begins later, or has ended.",
        "`smileaccess members show` says when it holds, `smileaccess members validity` changes it.",
    ),
    Reason.DOOR_NOT_ALLOWED: (
        "the member may not use this door",
        "The member's signed entry does not name this door.",
        NOTHING_TO_DO,
    ),
    Reason.OUTSIDE_SCHEDULE: (
        "the member may not come at this hour",
        "The member's signed schedule does not hold now.",
        NOTHING_TO_DO,
    ),
    Reason.CLOCK_UNTRUSTED: (
        "the door does not know what time it is",
        "The clock was not set since the boot, or is behind the newest record; the member has a time limit.",
        "Check the network time (`timedatectl`), or give the board a clock with a battery.",
    ),
    Reason.NO_EXPRESSION_CHANGE: (
        "the expression did not change",
        "No neutral face was seen before the cue, as with a photograph or somebody who smiled all the time; or the "
        "face changed otherwise than the light asked, as a recording does.",
        "Ask people to look calmly first, and to smile when the lamp asks for it; see docs/liveness.md.",
    ),
    Reason.NO_SMILE: (
        "nobody smiled",
        "No smile came within [liveness] answer_s after the cue, or in the sequences of follow-the-light.",
        "Ask people to smile when the lamp asks for it; see docs/liveness.md.",
    ),
    Reason.EMOTION_MISMATCH: (
        "the face showed another emotion than asked for",
        "[rules] emotions is require, and the strongest emotion was none of required_emotions.",
        "Ask people to try again, or change [rules].",
    ),
    Reason.TIMEOUT: (
        "the attempt took too long",
        "[door] attempt_s was over before enough was known.",
        "Where this happens often, look at how long each stage takes: `smileaccess attempts report`.",
    ),
}


def _of_attempts() -> dict[str, Message]:
    said = "Member @MEMBER_ID@ was recognized with a similarity of @SIMILARITY@, and the strike was energized."
    granted = Message("The door @DOOR@ opened to a member", said, NOTHING_TO_DO, INFO)
    denied = {
        f"{Outcome.DENIED}_{reason}": Message(
            f"Refused at @DOOR@: {subject}", cause, f"{remedy}\n{_ATTEMPT}", ERROR if reason in FAULTS else NOTICE
        )
        for reason, (subject, cause, remedy) in _REFUSALS.items()
    }
    return {Outcome.GRANTED.value: granted, **denied}


_LIFE = {
    "start": Message("The daemon started", "It was started, or restarted.", NOTHING_TO_DO, INFO),
    "ready": Message("The door is ready", "The start is done, and the camera was tried.", NOTHING_TO_DO, INFO),
    "stopping": Message(
        "The daemon stops",
        "It was told to, or something failed: then a line before this one says what.",
        NOTHING_TO_DO,
        INFO,
    ),
    "stop": Message("The daemon stopped", "The strike is locked, and everything is closed.", NOTHING_TO_DO, INFO),
    "slow_stop": Message(
        "A part of the daemon did not end in time",
        "A worker waited for a disk, a camera or a network for longer than the stop waits.",
        "Where it comes again, look at what that part waits for: `smileaccess doctor`.",
        ERROR,
    ),
    "crashed": Message(
        "The daemon stops for an unforeseen error",
        "A part of the program failed in a way that nobody foresaw; the traceback stands in the line.",
        "It is started again by itself. Report the traceback.",
        ERROR,
    ),
    "settings_reloaded": Message(
        "The settings were read again", "The daemon got HUP: `systemctl reload smileaccess`.", NOTHING_TO_DO, INFO
    ),
    "settings_refused": Message(
        "The settings were not read again",
        "The file has errors; those before stay in force.",
        "Mend what the line names, and check it: `smileaccess run --check`.",
        ERROR,
    ),
    "settings_later": Message(
        "A change of the settings waits for the next start",
        "Camera, panel, databases, keys, socket, log and the door's name are settled at the start.",
        "`systemctl restart smileaccess`, when nobody stands at the door.",
        WARNING,
    ),
    "alerts_unusable": Message(
        "Alerts cannot be sent",
        "The file of the channels cannot be read, or Apprise is not installed; the line says which. The door goes on.",
        "`smileaccess alerts test`, then restart the daemon.",
        ERROR,
    ),
    "alert_unsent": Message(
        "An alert was not taken",
        "The network is away, or the service refused it. It is tried again for a day, with what comes meanwhile.",
        "`smileaccess alerts test` says why, for each channel.",
        WARNING,
    ),
    "alert_channel_back": Message("A channel takes alerts again", "It did not before.", NOTHING_TO_DO, INFO),
    "log_lost": Message(
        "The log lost lines",
        "They came faster than they could be written, or could not be written at all.",
        "Look at the disk of the journal: `journalctl --disk-usage`, `df`.",
        WARNING,
    ),
}

_ATTEMPTS = {
    "attempt_cut_off": Message(
        "An attempt was cut off by a crash",
        "The power went, or the daemon was killed, while somebody stood at the door. It was denied.",
        "Look for the cause before this start: `journalctl -u smileaccess -b -1 -e`.",
        WARNING,
    ),
    "attempt_failed": Message(
        "An attempt failed",
        "A part did not do its work; the line says which, and why. The attempt is denied.",
        "Mend what the line names; `smileaccess doctor` tries every part.",
        ERROR,
    ),
    "attempt_abandoned": Message(
        "An attempt ended because the daemon stops",
        "The daemon was stopped while somebody stood at the door. The attempt was denied.",
        NOTHING_TO_DO,
        WARNING,
    ),
    "decision_unrecorded": Message(
        "A decision is not on record",
        "The disk is full, read-only or too slow. A grant that is not on record opens nothing.",
        "Make room or repair the disk, then run `smileaccess doctor`.",
        ERROR,
    ),
    "grant_lapsed": Message(
        "A grant lapsed, and the door did not open",
        "It could not be put on record before the attempt's time was over, or an operator locked the door just then.",
        "Look at the disk, which is full or slow: `smileaccess doctor`.",
        ERROR,
    ),
    "lock_out": Message(
        "Nobody is let in for a while",
        "More refusals came in a row than [lockout] free: somebody tries, or a member is not recognized any more.",
        "See who: `smileaccess attempts list --outcome denied`. `smileaccess door release` ends it early.",
        WARNING,
    ),
}

_STRIKE = {
    "rex": Message("Opened from inside", "Somebody pressed the request to exit.", NOTHING_TO_DO, INFO),
    "control_unlock": Message(
        "Unlocked by an operator",
        "An operator had the strike energized; who and why stands in the line and on record.",
        "Where nobody should have: `smileaccess attempts events --kind control_unlock`.",
        NOTICE,
    ),
    "control_lock": Message(
        "Locked by an operator",
        "An operator wants nobody let in; who and why stands in the line and on record. The way out works.",
        "`smileaccess door release` takes it back; a restart does not.",
        WARNING,
    ),
    "lock_kept": Message(
        "An operator's lock goes on",
        "The door was locked by an operator half a day ago or longer, and nobody has taken that back.",
        "`smileaccess door release` takes it back.",
        INFO,
    ),
    "control_hold": Message(
        "Held unlocked by an operator",
        "Anybody can come in until the time is over; who and why stands in the line and on record.",
        "`smileaccess door release` ends it.",
        WARNING,
    ),
    "order_failed": Message(
        "An operator's order was not carried out",
        "It is on record, and the strike did not move: the door was locked meanwhile, or the strike failed: see ERROR.",
        "`smileaccess door status` shows how the door stands; give the order again once the cause is gone.",
        WARNING,
    ),
    "office_hours_began": Message(
        "Office hours began: the door is unlocked",
        "The first member came in while [office_hours] schedule holds: anybody can come in until it ends.",
        "`smileaccess door release` ends it until the next office hours.",
        WARNING,
    ),
    "office_hours_failed": Message(
        "Office hours did not begin",
        "They could not be put on record in time, the door was locked meanwhile, or the strike did not move.",
        "The next member who comes in tries anew. Where it comes often, `smileaccess doctor`.",
        WARNING,
    ),
    "hold_over": Message(
        "The door is held unlocked no longer",
        "The time was over, or somebody or something ended it: the line says which.",
        NOTHING_TO_DO,
        WARNING,
    ),
    "release_refused": Message(
        "A release came on record too late, and did nothing",
        "The record took longer than an operator's order waits; the operator was told so.",
        "`smileaccess door status` shows how the door stands; release it again. For a slow disk: `smileaccess doctor`.",
        WARNING,
    ),
    "control_release": Message(
        "Released by an operator",
        "An operator took lock, hold and lock-out back; the line says which there were.",
        NOTHING_TO_DO,
        WARNING,
    ),
    "strike_failed": Message(
        "The strike did not move",
        "Its guard refused or did not answer, or its line is used by another program.",
        "Open from inside with the handle. Run `smileaccess doctor`, and check the wiring: docs/wiring.md.",
        ERROR,
    ),
    "strike_stuck": Message(
        "The strike may still be energized",
        "It was told to lock and could not be; it is tried again every second, and the guard's cap holds.",
        "See whether the door is locked. If it is not, take the strike's power away.",
        CRITICAL,
    ),
    "strike_unnoted": Message(
        "The strike's line cannot be noted",
        "The daemon's runtime folder cannot be written.",
        "Run it by its unit, which makes that folder. Without the note a lock needs usable settings.",
        WARNING,
    ),
    "guard_failed": Message(
        "The strike's guard failed",
        "The process that holds the strike ended or does not answer; the line says how.",
        "Another one is started by itself. Where that fails, look at the line's cause: `smileaccess doctor`.",
        ERROR,
    ),
    "guard_restarted": Message(
        "The strike's guard was started anew", "It drove the strike to locked first.", NOTHING_TO_DO, WARNING
    ),
    "strike_lost": Message(
        "The strike's guard is gone",
        "The process that holds the strike ended or does not answer. Nobody is let in until it is back.",
        "It is started again by itself. Where that fails: `systemctl restart smileaccess`.",
        ERROR,
    ),
    "strike_back": Message(
        "The strike's guard is back", "It was started again, and drove the strike to locked.", NOTHING_TO_DO, WARNING
    ),
}

_INPUTS = {
    "input_failed": Message(
        "An input cannot be read",
        "Its line is used by another program, or the GPIO chip is gone.",
        "Stop the other program, and check [gpio] and the wires: docs/wiring.md.",
        ERROR,
    ),
    "lamp_failed": Message(
        "A lamp or the buzzer cannot be driven",
        "Its line is used by another program, or the GPIO chip is gone.",
        "Stop the other program, then try them all: `smileaccess panel test`. The door goes on without.",
        ERROR,
    ),
    "panel_slow": Message(
        "A part of the panel did not end in time",
        "The GPIO chip, or the library that drives it, hangs. The strike is locked all the same.",
        "Where it comes again, `smileaccess doctor`.",
        WARNING,
    ),
    "line_kept": Message(
        "A line could not be let go of in order",
        "The library that drives it failed at the stop.",
        "Where it comes again, `smileaccess doctor`.",
        WARNING,
    ),
    "door_opened": Message("The door was opened", "The door contact says so.", NOTHING_TO_DO, INFO),
    "door_closed": Message("The door was closed", "The door contact says so.", NOTHING_TO_DO, INFO),
    "entered": Message("Who was let in has opened the door", "The door contact says so.", NOTHING_TO_DO, INFO),
    "not_entered": Message(
        "Who was let in has not opened the door",
        "They went away, or the door did not open although the strike was energized.",
        "Where it comes often, try the door: a strike under pressure does not let go, and contacts get out of place.",
        WARNING,
    ),
    "forced_open": Message(
        "The door was forced open",
        "It was opened, and nothing had unlocked it: by force, with a key, or from inside without the request to exit.",
        "Go and look. Where it was somebody who left by the handle, see docs/door.md about [door] forced_open.",
        ERROR,
    ),
    "held_open": Message(
        "The door is held open",
        "It has been open for longer than [door] held_open_s.",
        "Go and close it. Where nothing is in its way, look at the door closer and at the contact's wire.",
        ERROR,
    ),
    "held_open_over": Message("The door that was held open is closed", "Somebody closed it.", NOTHING_TO_DO, WARNING),
    "fire": Message(
        "The fire alarm says that there is a fire",
        "Its contact opened, or the wire to it broke. This is recorded only: the alarm's own contact cuts the strike.",
        "Follow the house's rules for a fire. The door opens from inside by its handle.",
        ERROR,
    ),
    "fire_cleared": Message("The fire alarm is over", "Its contact is closed again.", NOTHING_TO_DO, WARNING),
    "tampered": Message(
        "The box was opened, or its tamper loop was cut",
        "Somebody opened the box of the electronics, or its wire broke.",
        "Go and look. Check the wires of the strike, then the record: `smileaccess attempts verify`.",
        ERROR,
    ),
    "tamper_cleared": Message(
        "The tamper loop is closed again", "The box was closed, or its wire mended.", NOTHING_TO_DO, WARNING
    ),
    "entry_stuck": Message(
        "The entry button is stuck",
        "It has been pressed for longer than [gpio] stuck_s: it jams, something leans on it, or its wire is shorted.",
        "Free it. Until it is released it counts for nothing.",
        WARNING,
    ),
    "entry_freed": Message("The entry button is released again", "It was stuck before.", NOTHING_TO_DO, INFO),
    "approach_stuck": Message(
        "The approach sensor is stuck",
        "It has seen somebody for longer than [gpio] approach_stuck_s: a warm draft, sunlight, or a short circuit.",
        "Turn it or shade it. Until it rests it counts for nothing.",
        WARNING,
    ),
    "approach_freed": Message("The approach sensor rests again", "It was stuck before.", NOTHING_TO_DO, INFO),
    "rex_stuck": Message(
        "The request to exit is stuck",
        "It has been pressed for longer than [gpio] stuck_s: it jams, something leans on it, or its wire is shorted.",
        "Free it soon: it opens the door again only after it was released. The inside handle opens always.",
        WARNING,
    ),
    "rex_freed": Message("The request to exit is released again", "It was stuck before.", NOTHING_TO_DO, INFO),
}

_CAMERA = {
    "camera_missing": Message(
        "The camera cannot be opened",
        "It is not plugged in, is used by another program, or its address is wrong.",
        "Check its cable and [camera], then `smileaccess doctor`. It is tried again by itself; the way out works.",
        ERROR,
    ),
    "camera_lost": Message(
        "The camera is gone",
        "It has given no pictures for a while: its cable, its power or its network. Nobody is let in.",
        "Check its cable, then `smileaccess doctor`. It is tried again by itself; the way out works.",
        ERROR,
    ),
    "camera_back": Message("The camera is back", "It was gone before.", NOTHING_TO_DO, WARNING),
    "picture_skipped": Message(
        "A picture was passed over",
        "A file in the folder of [camera] path is no picture that can be used.",
        "See what puts files there: they must be written elsewhere, and moved in when they are complete.",
        WARNING,
    ),
}

_RECOGNIZERS = {
    "recognizer_moved": Message(
        "The fallback is asked from now on",
        "The first recognizer failed several times in a row; the line says how.",
        "Run `smileaccess doctor`. The first one is tried again by itself.",
        WARNING,
    ),
    "recognizer_back": Message(
        "The first recognizer answers again", "What was wrong with it is over.", NOTHING_TO_DO, WARNING
    ),
    "recognizer_alarm": Message(
        "The first recognizer has been gone for long",
        "It has not answered for [recognition] fallback_alarm_s.",
        "Run `smileaccess doctor`; check the network, the credentials and the service's own status page.",
        ERROR,
    ),
    "fallback_asked": Message(
        "The fallback was asked",
        "The first recognizer failed in this attempt; the line says how.",
        "Where it comes often, run `smileaccess doctor`.",
        WARNING,
    ),
    "service_retried": Message(
        "The service was asked again", "Its first answer was an error that passes.", NOTHING_TO_DO, INFO
    ),
    "service_unreachable": Message(
        "The service cannot be reached",
        "No connection could be made ahead of its use: network, name service, certificates or clock.",
        "Run `smileaccess doctor`.",
        WARNING,
    ),
    "face_refused": Message(
        "A face of the collection is nobody's",
        "The collection holds a face that is in no signed list: put there by others, or left over.",
        "`smileaccess members reconcile` shows both sides; find out who may write to the collection.",
        ERROR,
    ),
    "template_unopened": Message(
        "A face template cannot be opened",
        "It was sealed under another key, or is damaged. It is left out; the member's other ones hold.",
        "Compare `smileaccess keys show` with where people are enrolled, or enroll the member anew.",
        ERROR,
    ),
    "spending_warning": Message(
        "Paid calls come near to their cap",
        "More than [spending] warn_at of a cap is used up.",
        "See `smileaccess door status`, and who rings so often: `smileaccess attempts list`.",
        WARNING,
    ),
    "spending_cap": Message(
        "The cap on paid calls is reached",
        "As many calls were billed as [spending] allows.",
        "Raise the cap, or wait for the next day or month (UTC). The fallback decides meanwhile, where there is one.",
        WARNING,
    ),
}

_RECORD = {
    "record_filling": Message(
        "The record is filling",
        "It has reached four fifths of [records] limit_mb, or the disk has little room left.",
        "Make room on the disk, deliver what waits, or delete the oldest part: `smileaccess attempts prune`.",
        WARNING,
    ),
    "record_full": Message(
        "The record is full",
        "It has reached [records] limit_mb, or the disk is full. The door opens to nobody.",
        "Delete the oldest part (`smileaccess attempts prune`), or raise the limit.",
        ERROR,
    ),
    "record_unwritable": Message(
        "The record cannot be written",
        "The disk is full, read-only or broken. What cannot be written waits in memory.",
        "Repair the disk at once: until then the door opens to nobody.",
        ERROR,
    ),
    "rows_lost": Message(
        "Rows of the record were lost",
        "The record could not be written for so long that what waited had to be given up.",
        "Repair the disk. The lines of the journal are what is left of those rows.",
        ERROR,
    ),
    "row_unwritten": Message(
        "A row was not written",
        "The record refused it: it is there already, or does not fit.",
        "Run `smileaccess attempts verify`.",
        ERROR,
    ),
    "records_pruned": Message(
        "Old rows were deleted", "They were older than is kept, or an operator said so.", NOTHING_TO_DO, INFO
    ),
    "marker_unkept": Message(
        "The record's marker cannot be kept",
        "The folder of the record cannot be written.",
        "Give the folder to the user that runs the door; a record that vanishes would not be missed.",
        WARNING,
    ),
    "record_put_back": Message(
        "The record was put back",
        "It is another one than was delivered to the central database, or an older copy of it.",
        "Find out who restored or replaced it; compare both: `smileaccess attempts verify`.",
        ERROR,
    ),
    "row_set_aside": Message(
        "The central database refused a row",
        "The row does not fit there; it is set aside here, and those behind it were delivered.",
        "Mend the cause that the line names, then `smileaccess database resend`.",
        ERROR,
    ),
    "commissioned": Message(
        "The door was commissioned", "Somebody went through the checklist and signed it.", NOTHING_TO_DO, NOTICE
    ),
}

_CENTRAL = {
    "database_unreachable": Message(
        "The central database cannot be used",
        "Network, server or account; the line says which. It is tried again by itself.",
        "Where it lasts: `smileaccess database status`.",
        WARNING,
    ),
    "database_away": Message(
        "The central database is away",
        "It has not answered for a while. The door goes on with its copy of the members.",
        "`smileaccess database status`; bring the network or the server back within [mysql] max_stale_h.",
        ERROR,
    ),
    "database_answers": Message("The central database answers", "A connection was made.", NOTHING_TO_DO, INFO),
    "database_back": Message("The central database is back", "What waited here is delivered now.", NOTHING_TO_DO, INFO),
    "members_stale": Message(
        "The members' list is too old to go on with",
        "The central database was out of reach for longer than [mysql] max_stale_h. The door opens to nobody.",
        "Bring the network or the database back: `smileaccess database status`.",
        ERROR,
    ),
}

_MEMBERS = {
    "members_loaded": Message("The members' list was loaded", "It has changed.", NOTHING_TO_DO, INFO),
    "members_unusable": Message(
        "The members' list cannot be used",
        "The record cannot be read, or a template not opened. The list in use stays.",
        "Run `smileaccess doctor` and `smileaccess attempts verify`.",
        ERROR,
    ),
    "member_refused": Message(
        "A member was refused",
        "The entry is not as the enroller signed it, or is older than what this door has seen: somebody changed it.",
        "Find out who may write to the database; enroll the member anew, or `smileaccess members forget` them.",
        ERROR,
    ),
    "member_taken": Message("A member was taken over", "The central list has a newer version.", NOTHING_TO_DO, INFO),
    "member_dropped": Message(
        "A member is on the central list no more",
        "The central list does not hold the member any longer, so that neither does this door.",
        "Where nobody did that on purpose: `smileaccess attempts events --central`.",
        WARNING,
    ),
    "member_enrolled": Message("A member was enrolled", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_pictures_added": Message("Pictures of a member were added", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_taken_back": Message(
        "An enrollment was taken back",
        "The member was not found again in the stored list right after enrolling.",
        "Enroll the member anew, with better pictures.",
        WARNING,
    ),
    "member_renamed": Message("A member was renamed", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_disabled": Message("A member was disabled", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_enabled": Message("A member was enabled again", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_validity": Message("A member's validity was changed", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_schedule": Message("A member's schedule was changed", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_groups": Message("A member's groups were changed", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_doors": Message("A member's doors were changed", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_gesture": Message("A member's gesture was changed", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_similarity": Message("A member's own threshold was changed", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_forgotten": Message("A member was forgotten", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_published": Message("A member was put into the central list", "An operator did it.", NOTHING_TO_DO, INFO),
    "member_reconciled": Message(
        "A member's faces were brought in line with the collection", "An operator did it.", NOTHING_TO_DO, INFO
    ),
    "collection_created": Message("A collection was made", "An operator did it.", NOTHING_TO_DO, INFO),
    "collection_deleted": Message("A collection was deleted", "An operator did it.", NOTHING_TO_DO, NOTICE),
    "collection_reconciled": Message(
        "Faces without a member were removed from the collection", "An operator did it.", NOTHING_TO_DO, INFO
    ),
}

_OPERATORS = {
    "control_status": Message("Somebody asked how the door stands", "An operator did it.", NOTHING_TO_DO, INFO),
    "control_attempt": Message("Somebody started an attempt", "An operator did it.", NOTHING_TO_DO, INFO),
    "control_pictures": Message(
        "Somebody took pictures at the door's camera", "Somebody is being enrolled.", NOTHING_TO_DO, INFO
    ),
    "caller_gone": Message(
        "A caller of the operators' socket went away", "The command was interrupted.", NOTHING_TO_DO, INFO
    ),
    **{
        f"control_{command}_refused": Message(
            f"Somebody was not permitted to {what}",
            "The system user is in none of the groups that may.",
            "Where they should: `usermod --append --groups GROUP USER`, with a group of [control].",
            WARNING,
        )
        for command, what in {
            "status": "see how the door stands",
            "attempt": "start an attempt",
            "unlock": "unlock the door",
            "lock": "lock the door",
            "hold": "hold the door unlocked",
            "release": "release the door",
            "pictures": "take pictures at the door's camera",
        }.items()
    },
}

MESSAGES: Mapping[str, Message] = MappingProxyType(
    {
        **_of_attempts(),
        **_LIFE,
        **_ATTEMPTS,
        **_STRIKE,
        **_INPUTS,
        **_CAMERA,
        **_RECOGNIZERS,
        **_RECORD,
        **_CENTRAL,
        **_MEMBERS,
        **_OPERATORS,
    }
)
"""Every kind; those of attempts are granted, and denied_ with the reason after it."""


def kind_of(line: Mapping[str, Any]) -> str:
    """Return the kind of a line of the log: its own, else, where it tells an attempt's end, that one; else ""."""
    if line.get("outcome") and not line.get("kind"):
        return "_".join(str(line[name]) for name in ("outcome", "reason") if line.get(name))
    return str(line.get("kind") or "")


def message_id(kind: str) -> str:
    """Return the journal's MESSAGE_ID of a kind: a name-based UUID (RFC 9562, 5.5), 32 hex digits."""
    return uuid.uuid5(NAMESPACE, kind).hex


def catalog() -> str:
    """Return the text of systemd/smileaccess.catalog."""
    head = "# What `journalctl -x` says beside the lines of smileaccess; drawn from smileaccess/messages.py.\n"
    return head + "".join(_entry(kind, message) for kind, message in MESSAGES.items())


def _entry(kind: str, message: Message) -> str:
    text = "\n\n".join(_filled(part) for part in (message.cause, message.remedy))
    return f"\n# {kind}\n-- {message_id(kind)}\nSubject: {message.subject}\nDefined-By: smileaccess\n\n{text}\n"


def _filled(text: str) -> str:
    """Return a text in lines of a terminal's width; each of its own lines begins anew, and no command is broken."""
    lines: list[str] = []
    for own in text.split("\n"):
        line = ""
        for word in _WORD.findall(own):
            if line and len(line) + 1 + len(word) > _WIDTH:
                lines.append(line)
                line = ""
            line = f"{line} {word}" if line else word
        lines.append(line)
    return "\n".join(lines)
