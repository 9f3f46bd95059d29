# SPDX-License-Identifier: MIT
"""Scripts of KVM calls and traces of their answers, in one text format: docs/trace-format.md.

A client of the ioctl interface. `parse` reads the format, `format` writes it, `replay` runs a
script against a backend (kvmemu, or Linux's own /dev/kvm) and compares its answers with recorded
ones.
"""
