"""Downloads of limited size."""

from typing import IO, Any

from experiments.data.files import MAX_BYTES


class Bounded:
    """A downloader for `pooch.retrieve` that stops above a maximum size.

    Pooch verifies the checksum only after the download, but a server may never stop sending.
    """

    def __init__(self, most: int = MAX_BYTES):
        """Accept at most `most` bytes; `num_bytes` counts them."""
        self.most = most
        self.num_bytes = 0

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download to a file, with a bar on a terminal; raise OSError above the maximum size."""
        from pooch import HTTPDownloader
        from tqdm import tqdm

        # Pooch replaces the total before anything is shown. Without a terminal, nothing is.
        style: dict[str, Any] = {"unit": "B", "unit_scale": True, "leave": False, "delay": 0.1}
        with open(output_file, "w+b") as file, tqdm(total=self.most, disable=None, **style) as bar:
            shown: Any = bar  # pooch annotates it as a bool
            HTTPDownloader(progressbar=shown)(url, _Counting(file, self), pooch)


class _Counting:
    def __init__(self, file: IO[bytes], bounded: Bounded):
        self._file, self._bounded = file, bounded

    def write(self, chunk: bytes) -> None:
        self._bounded.num_bytes += len(chunk)
        if self._bounded.num_bytes > self._bounded.most:
            raise OSError(f"the server sent more than {self._bounded.most:,} bytes")
        self._file.write(chunk)

    def flush(self) -> None:
        self._file.flush()
