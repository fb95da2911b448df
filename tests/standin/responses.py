"""Unpacks a request for the backend and packs its answer, through moto's parser and serializer; it decides nothing."""

from __future__ import annotations

from typing import Any

import moto.iam.models  # noqa: F401 (moto imports it at its first request, which would take a third of a second)
from moto.core.base_backend import BackendDict
from moto.core.request import Request
from moto.core.responses import ActionResult
from moto.rekognition.responses import RekognitionResponse

from tests.standin.backend import StandInBackend
from tests.standin.errors import AwsError
from tests.standin.keyring import ACCOUNT
from tests.standin.signing import Signed


class StandInResponse(RekognitionResponse):
    """One request, whose caller may ask it and whose parameters fit the model; the backend is the region's."""

    use_raw_body = True  # else moto takes a body of some megabytes apart as if it were a form

    def __init__(self, backends: BackendDict[StandInBackend], region: str) -> None:
        super().__init__()
        self.automated_parameter_parsing = True
        self._backends, self._region = backends, region

    def answer(self, request: Signed) -> bytes:
        """Return the body of the answer; AwsError."""
        asked = Request.from_primitives(request.method, request.url, request.headers, request.body)
        body = self._dispatch(asked)[2]
        return body.encode() if isinstance(body, str) else body

    @property
    def rekognition_backend(self) -> StandInBackend:
        return self._backends[ACCOUNT][self._region]

    def get_region_from_url(self, request: Any, full_url: str) -> str:  # noqa: ARG002 (moto's signature)
        """Return the region that was signed for: the address is always this machine's."""
        return self._region

    def get_current_account(self) -> str:
        return ACCOUNT

    def create_collection(self) -> ActionResult:
        return ActionResult(self.rekognition_backend.create_collection(self._collection))

    def describe_collection(self) -> ActionResult:
        return ActionResult(self.rekognition_backend.describe_collection(self._collection))

    def list_collections(self) -> ActionResult:
        most, token = self._get_param("MaxResults"), self._get_param("NextToken")
        return ActionResult(self.rekognition_backend.list_collections(most, token))

    def delete_collection(self) -> ActionResult:
        return ActionResult(self.rekognition_backend.delete_collection(self._collection))

    def index_faces(self) -> ActionResult:
        answer = self.rekognition_backend.index_faces(
            self._collection,
            self._image(),
            self._get_param("ExternalImageId"),
            self._get_param("DetectionAttributes"),
            self._get_param("MaxFaces"),
            self._get_param("QualityFilter", "AUTO"),
        )
        return ActionResult(answer)

    def list_faces(self) -> ActionResult:
        answer = self.rekognition_backend.list_faces(
            self._collection,
            self._get_param("MaxResults"),
            self._get_param("NextToken"),
            self._get_param("UserId"),
            self._get_param("FaceIds"),
        )
        return ActionResult(answer)

    def delete_faces(self) -> ActionResult:
        return ActionResult(self.rekognition_backend.delete_faces(self._collection, self._get_param("FaceIds")))

    def detect_faces(self) -> ActionResult:
        return ActionResult(self.rekognition_backend.detect_faces(self._image(), self._get_param("Attributes")))

    def search_faces_by_image(self) -> ActionResult:
        answer = self.rekognition_backend.search_faces_by_image(
            self._collection,
            self._image(),
            self._get_param("MaxFaces", 80),
            self._get_param("FaceMatchThreshold", 80.0),
            self._get_param("QualityFilter", "NONE"),
        )
        return ActionResult(answer)

    @property
    def _collection(self) -> str:
        return str(self._get_param("CollectionId"))

    def _image(self) -> bytes:
        data = self._get_param("Image.Bytes")
        if self._get_param("Image.S3Object") is not None:
            message = "Unable to get object metadata from S3. Check object key, region and/or access permissions."
            raise AwsError("InvalidS3ObjectException", message)
        if not isinstance(data, bytes):
            raise AwsError("InvalidParameterException", "Request has invalid parameters")
        return data
