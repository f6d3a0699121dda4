"""Downloads of limited size."""

from typing import IO, Any

from experiments.data.files import MAX_BYTES


class Bounded:
    """A downloader for `pooch.retrieve` that stops above a maximum size.

    Pooch verifies the checksum only after the download, but a server may never stop sending.
    """

    def __init__(self, most: int = MAX_BYTES):
        """Accept at most `most` bytes."""
        self.most = most

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download to a file; raise OSError above the maximum size."""
        from pooch import HTTPDownloader

        with open(output_file, "w+b") as file:
            HTTPDownloader(progressbar=True)(url, _Counting(file, self.most), pooch)


class _Counting:
    def __init__(self, file: IO[bytes], most: int):
        self._file, self._left, self._most = file, most, most

    def write(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise OSError(f"the server sent more than {self._most:,} bytes")
        self._file.write(chunk)

    def flush(self) -> None:
        self._file.flush()
