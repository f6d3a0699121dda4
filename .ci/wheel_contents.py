#!/usr/bin/env python3
"""Compares a wheel with the project's packages: `wheel_contents.py WHEEL PROJECT`."""

import sys
import zipfile
from pathlib import Path

wheel, project = sys.argv[1], Path(sys.argv[2])
packages = [path.parent for path in project.glob("*/__init__.py")]
expected = {
    path.relative_to(project).as_posix()
    for package in packages
    for path in package.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
with zipfile.ZipFile(wheel) as archive:
    packed = {name for name in archive.namelist() if ".dist-info/" not in name}
for title, names in ("lacks", expected - packed), ("has besides", packed - expected):
    for name in sorted(names):
        print(f"the wheel {title} {name}")
sys.exit(expected != packed)
