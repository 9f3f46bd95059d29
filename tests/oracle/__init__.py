# SPDX-License-Identifier: MIT
"""The oracle: asks a real Linux KVM/arm64, booted in QEMU, what kvmemu should answer.

Part of the tests. `record.py` records traces; `linux.py` is the same as a library.
"""
