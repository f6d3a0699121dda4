"""Downloads that end where the file should."""

from typing import IO, Any

from experiments.data.files import MOST


class Bounded:
    """A downloader for `pooch.retrieve` that takes no more bytes than a data file may have.

    A server may send without end, and the checksum is looked at only when all is there.
    """

    def __init__(self, most: int = MOST):
        """Take at most `most` bytes."""
        self.most = most

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download to a file; OSError where there is more than expected."""
        from pooch import HTTPDownloader

        with open(output_file, "w+b") as file:
            HTTPDownloader(progressbar=True)(url, _Counting(file, self.most), pooch)


class _Counting:
    def __init__(self, file: IO[bytes], most: int):
        self._file, self._left, self._most = file, most, most

    def write(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise OSError(f"more than {self._most:,} bytes came")
        self._file.write(chunk)

    def flush(self) -> None:
        self._file.flush()
