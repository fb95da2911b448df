"""A stand-in for Amazon Rekognition: real faces, real signatures and real sockets, with faults on demand."""

from __future__ import annotations

from tests.standin.faults import Faults
from tests.standin.keyring import CREDENTIALS, Credentials
from tests.standin.running import StandIn
from tests.standin.service import Call

__all__ = ["CREDENTIALS", "Call", "Credentials", "Faults", "StandIn"]
