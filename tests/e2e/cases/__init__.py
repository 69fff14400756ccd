# tests/e2e/cases/__init__.py -- the end-to-end cases; run.py loads every module here.
# SPDX-License-Identifier: Apache-2.0
