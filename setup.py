# SPDX-License-Identifier: MIT
"""Builds the compiled core; everything else is in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["kvmemu/_ffi_build.py:ffi"],
    # One wheel serves every Python from 3.10 on: the extension uses the limited API only.
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
