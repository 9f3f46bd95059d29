# SPDX-License-Identifier: MIT
"""Programs of others as clients of kvmemu. Part of the tests."""
