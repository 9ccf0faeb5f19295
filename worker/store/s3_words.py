"""What an S3 server's answers mean for a store: nothing there, a key that cannot be, or "later", with what to do about it.

The client's own error texts hold keys, which are file names, so none of them is repeated (promise P7).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3.exceptions import HTTPError

from worker.store.bucket import BadKeyError, StoreUnreachableError
from worker.store.contract import NotInStoreError, StoreError

MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "ResourceNotFound"})
_BAD_KEY = frozenset({"KeyTooLongError", "XMinioInvalidObjectName", "XMinioParentIsObject", "InvalidURI", "ObjectParentIsFile"})
_RIGHTS = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "XAdminUserNotFound"})
_FULL = frozenset({"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity"})


class S3Words:
    """Answers of the place *url*.

    Args:
        is_not_listed: Whether a listing, which only a real S3 server can give, is without a key.
    """

    def __init__(self, url: str, is_not_listed: Callable[[str], bool]) -> None:
        self._url, self._is_not_listed = url, is_not_listed

    @contextlib.contextmanager
    def told(self, key: str) -> Iterator[None]:
        """Turn the client's errors in the block into the protocol's."""
        try:
            yield
        except S3Error as no:
            raise self.missing(key) if no.code in MISSING else self.answered(no.code, no.response.status) from None
        except HTTPError as no:
            why = type(getattr(no, "reason", None) or no).__name__
            raise self.unreachable(f"did not answer ({why})", "See whether the S3 server runs and can be reached.") from None
        except InvalidResponseError as no:
            # Believed too lightly, a proxy that points nowhere and says 404 would make a full store an empty one.
            if status_of(no) == 404 and key and self._is_not_listed(key):
                raise self.missing(key) from None
            raise self.unreachable(f"gave an answer that is not S3's ({type(no).__name__})", "Check the endpoint.") from None
        except (MinioException, ParseError) as no:
            raise self.unreachable(f"failed ({type(no).__name__})", "See the S3 server's own log.") from None

    def answered(self, code: str | None, status: int) -> StoreError | StoreUnreachableError:
        """The error for an S3 error code."""
        if code in _BAD_KEY:
            return BadKeyError(f"the S3 server refused it ({code})", "a key", "Use a shorter, plain name.")
        if code == "NoSuchBucket":
            remedy = "Make the bucket, or correct the place's URL."
        elif code == "RequestTimeTooSkewed":
            remedy = "Set this machine's clock, or the server's."
        elif code in _RIGHTS or status in (401, 403):
            remedy = "Check the endpoint's keys in the settings, and what they may do in this bucket."
        elif code in _FULL:
            remedy = "Make room in the store."
        else:
            remedy = "See the S3 server's own log."
        return self.unreachable(f"answered {code}", remedy)

    def missing(self, key: str) -> NotInStoreError:
        """The error for a key under which nothing stands."""
        return NotInStoreError("is not in this place", key, f"Look at what is under {self._url}.")

    def unreachable(self, what: str, remedy: str) -> StoreUnreachableError:
        """The error for a server that cannot be used now."""
        return StoreUnreachableError(f"the S3 server {what}", self._url, remedy)

    def broke_off(self, left_bytes: int, why: str) -> StoreUnreachableError:
        """The error for an answer that ended early."""
        return self.unreachable(f"broke off an answer {left_bytes} bytes too early ({why})", "It is tried again.")


def status_of(no: S3Error | InvalidResponseError) -> int:
    """The HTTP status of an answer."""
    return no.response.status if isinstance(no, S3Error) else no._code  # noqa: SLF001 -- it has no other way to tell
