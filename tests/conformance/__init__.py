# SPDX-License-Identifier: MIT
"""What Linux answered, and whether kvmemu answers the same. Part of the tests."""
